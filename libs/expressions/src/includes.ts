import type { Cost } from './values.js';

/**
 * Beyond it the engine's own search takes too long in the worst case: it looks at much of the part again at each place of
 * the text. Both may be data, and who sends an event chooses both.
 */
const LONG = 64;

/** As `text.includes(part)`, in a time that is linear in the text. @throws Rejected `expression.too_costly` */
export function includes(text: string, part: string, cost: Cost): boolean {
  cost.spendText(text.length);
  if (part.length > text.length) return false;
  return part.length <= LONG ? text.includes(part) : search(text, part);
}

/** Knuth, Morris, Pratt, by UTF-16 units: never looks back in the text. */
function search(text: string, part: string): boolean {
  const borders = bordersOf(part);
  let fits = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    while (fits > 0 && part.charCodeAt(fits) !== unit) fits = borders[fits - 1]!;
    if (part.charCodeAt(fits) === unit && ++fits === part.length) return true;
  }
  return false;
}

/** For each beginning of the part, how much of it is its own end as well, less than the whole. */
function bordersOf(part: string): Int32Array {
  const borders = new Int32Array(part.length);
  let fits = 0;
  for (let at = 1; at < part.length; at++) {
    const unit = part.charCodeAt(at);
    while (fits > 0 && part.charCodeAt(fits) !== unit) fits = borders[fits - 1]!;
    if (part.charCodeAt(fits) === unit) fits++;
    borders[at] = fits;
  }
  return borders;
}
