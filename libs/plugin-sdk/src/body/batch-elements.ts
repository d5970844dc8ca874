/** The text of each element of an array that is known to be valid JSON. */
export function elementTexts(text: string): string[] {
  const texts: string[] = [];
  let depth = 0;
  let start = text.indexOf('[') + 1;
  for (let at = start; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22:
        // A quote ends the text unless it is escaped; so is whatever follows a backslash.
        for (at++; text.charCodeAt(at) !== 0x22; at++) if (text.charCodeAt(at) === 0x5c) at++;
        break;
      case 0x5b:
      case 0x7b:
        depth++;
        break;
      case 0x7d:
        depth--;
        break;
      case 0x5d: {
        if (--depth >= 0) break;
        const last = text.slice(start, at).trim();
        return last === '' ? texts : [...texts, last];
      }
      case 0x2c:
        if (depth > 0) break;
        texts.push(text.slice(start, at).trim());
        start = at + 1;
        break;
    }
  }
  return texts;
}
