import { BoundedMap } from './bounded-map.js';

/**
 * The same function, which gives what it gave lately for the same text: the very same object. For pure functions whose
 * results are not changed, where thousands of things are written with a few dozen texts.
 * @param most texts that are remembered.
 * @param longest characters of a text that is: what is longer is hardly written twice.
 */
export function remember<T>(make: (text: string) => T, most = 1_000, longest = 200): (text: string) => T {
  const recent = new BoundedMap<string, T>(most);
  return (text) => {
    if (text.length > longest) return make(text);
    const known = recent.get(text);
    if (known !== undefined) return known;
    const made = make(text);
    recent.set(text, made);
    return made;
  };
}
