import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { jsonFaultOf } from './json-fault.js';

const errorOf = (text: string): string | undefined => {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
};
const linesOf = (text: string) => text.split('\n');
/** The text before a place. */
const before = (text: string, { line, column }: { line: number; column: number }): string =>
  [...linesOf(text).slice(0, line - 1), linesOf(text)[line - 1]!.slice(0, column - 1)].join('\n');

describe('the place where a text stops being JSON', () => {
  it.each([
    ['', 1, 1, 'Expected a value, found the end of the body.'],
    ['{"a":', 1, 6, 'Expected a value, found the end of the body.'],
    ['{"a":1,}', 1, 8, 'Expected a property name in double quotes, found "}".'],
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3, 'Expected "," or "}", found "\\"".'],
    ['{name: 1}', 1, 2, 'Expected a property name in double quotes or "}", found "name".'],
    ["{'a': 1}", 1, 2, 'Expected a property name in double quotes or "}", found "\'".'],
    ['{"a" 1}', 1, 6, 'Expected ":", found "1".'],
    ['[1,\n True]', 2, 2, 'Expected a value, found "True".'],
    ['[01]', 1, 2, 'Expected a value or "]", found "01".'],
    ['[1}', 1, 3, 'Expected "," or "]", found "}".'],
    ['[] []', 1, 4, 'Expected the end of the body, found "[".'],
    ['[\u{1f600}]', 1, 2, 'Expected a value or "]", found "\u{1f600}".'],
  ])('in %j is line %d, column %d', (text, line, column, detail) => {
    expect(jsonFaultOf(text)).toEqual({ line, column, detail });
  });

  it.each(['["a', '["a\nb"]', '["\\x"]', '{"a'])('in %j is a string', (text) => {
    expect(jsonFaultOf(text)).toMatchObject({
      line: 1,
      column: 2,
      detail: expect.stringMatching(/^The string is inv/),
    });
  });

  it('has only JSON before it, and no JSON with the token that stands there', () => {
    const broken = fc
      .tuple(fc.json(), fc.nat(), fc.nat(3), fc.constantFrom('', ',', ']', '}', '"', ':', '\n', 'x', '-', '{', ' '))
      .map(([json, at, length, put]) => {
        const place = at % (json.length + 1);
        return json.slice(0, place) + put + json.slice(place + length);
      })
      .filter((text) => errorOf(text) !== undefined);
    fc.assert(
      fc.property(broken, (text) => {
        const good = before(text, jsonFaultOf(text));
        const message = errorOf(good);
        const position = message === undefined ? undefined : /at position (\d+)/.exec(message)?.[1];
        // What is missing is missing at its end.
        if (position !== undefined) expect(Number(position)).toBe(good.length);
        else if (message !== undefined) expect(message).toBe('Unexpected end of JSON input');
        const token = /^(?:[\w.+-]+|[^])/u.exec(text.slice(good.length))?.[0] ?? '';
        expect(errorOf(good + token)).toBeDefined();
      }),
      { numRuns: 1_000 },
    );
  });

  it('is found in a large text with many open brackets or escapes', () => {
    expect(jsonFaultOf('['.repeat(1_000_000)).column).toBe(1_000_001);
    expect(jsonFaultOf(`["${'\\n'.repeat(500_000)}`).column).toBe(2);
  });
});
