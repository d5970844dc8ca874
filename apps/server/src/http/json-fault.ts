import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { locator, type SourcePosition } from '#libs/yaml/src/source-position.js';

/** Where a text stops being JSON. */
export interface JsonFault extends SourcePosition {
  readonly detail: string;
}

const BLANKS = /[ \t\n\r]*/y;
// Written without nested repetition, so that no text takes long.
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[\da-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const OTHER_VALUE = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y;
/** What people see as one: a word, or a single character. */
const SHOWN = /[\w.+-]{1,20}|[^]/uy;

type Wanted = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | ', or ]' | ', or }' | 'end';
const WORDS: Readonly<Record<Wanted, string>> = {
  value: 'a value',
  'value or ]': 'a value or "]"',
  key: 'a property name in double quotes',
  'key or }': 'a property name in double quotes or "}"',
  ':': '":"',
  ', or ]': '"," or "]"',
  ', or }': '"," or "}"',
  end: 'the end of the body',
};

/** Finds the first token that JSON does not allow in its place. JavaScript's own message does not always say where that is. */
export function jsonFaultOf(text: string): JsonFault {
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  const open: ('[' | '{')[] = [];
  const after = (): Wanted => (open.length === 0 ? 'end' : open.at(-1) === '[' ? ', or ]' : ', or }');
  let wanted: Wanted = 'value';
  for (;;) {
    take(BLANKS);
    const next = text[at];
    if ((next === ']' || next === '}') && wanted.endsWith(` or ${next}`)) {
      open.pop();
      wanted = after();
    } else if (next === ',' && wanted.startsWith(',')) wanted = wanted === ', or ]' ? 'value' : 'key';
    else if (next === ':' && wanted === ':') wanted = 'value';
    else if ((next === '[' || next === '{') && wanted.startsWith('value')) {
      open.push(next);
      wanted = next === '[' ? 'value or ]' : 'key or }';
    } else if (wanted.startsWith('key') && take(STRING) !== undefined) {
      wanted = ':';
      continue;
    } else if (wanted.startsWith('value') && (take(STRING) ?? take(OTHER_VALUE)) !== undefined) {
      wanted = after();
      continue;
    } else break;
    at++;
  }
  const isString = text[at] === '"' && /^(?:key|value)/.test(wanted);
  const place = locator(text)(at);
  const found = take(SHOWN);
  const detail = isString
    ? 'The string is invalid: it is not closed, or contains a line break, a control character or an unknown escape.'
    : `Expected ${WORDS[wanted]}, found ${found === undefined ? 'the end of the body' : stringifyJson(found)}.`;
  return { ...place, detail };
}
