import type { ListShape } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';

/** Strangers choose how many there are: no more are tried. */
export const MAX_SIGNATURES = 16;

/** `t=1,v1=a,v1=b` as its entries, in order; blanks around them do not count. */
export function entriesOf(text: string, { separator = ',', assign = '=' }: ListShape): (readonly [string, string])[] {
  const parts = separator.trim() === '' ? text.trim().split(/[ \t]+/) : text.split(separator);
  return parts.map((part) => {
    const entry = part.trim();
    const at = entry.indexOf(assign);
    return at < 0 ? [entry, ''] : [entry.slice(0, at).trim(), entry.slice(at + assign.length).trim()];
  });
}

/** How such a list is written. */
export function writeList(list: ListShape, signature: string, timestamp: string | undefined): string {
  const { separator = ',', assign = '=' } = list;
  const entries =
    timestamp === undefined || list.timestamp === undefined ? [] : [`${list.timestamp}${assign}${timestamp}`];
  return [...entries, `${list.signature}${assign}${signature}`].join(separator);
}
