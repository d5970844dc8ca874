import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { pageOf, pagingOf } from './paging.js';

const show = (n: number) => ({ n });
const key = (n: number) => [String(n), 'x'];

describe('paging', () => {
  it('shows every row once, whatever the size of a page', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat()), fc.integer({ min: 1, max: 200 }), (given, limit) => {
        const rows = given.sort((a, b) => a - b);
        const seen: number[] = [];
        let cursor: string | undefined;
        do {
          const paging = pagingOf(String(limit), cursor, ['number', 'text']);
          const after = paging.after === undefined ? -1 : Number(paging.after[0]);
          const read = rows.filter((n) => n > after).slice(0, paging.limit + 1);
          const page = pageOf(read, paging, key, show);
          seen.push(...page.data.map(({ n }) => n));
          cursor = page.nextCursor ?? undefined;
        } while (cursor !== undefined);
        expect(seen).toEqual(rows);
      }),
    );
  });

  it('has 50 rows when nobody says otherwise', () => {
    expect(pagingOf(undefined, undefined, ['text'])).toEqual({ limit: 50, after: undefined });
    expect(pagingOf('', '', ['text'])).toEqual({ limit: 50, after: undefined });
  });

  it.each(['0', '201', '-1', '1.5', 'many', 'NaN'])('refuses the limit %s', (limit) => {
    expect(() => pagingOf(limit, undefined, ['text'])).toThrow(expect.objectContaining({ code: 'list.bad_limit' }));
  });

  it.each([
    ['nonsense', '!'],
    ['other JSON', Buffer.from('{"a":1}').toString('base64url')],
    ['a key of another list', Buffer.from('["a","b"]').toString('base64url')],
    ['a key that is not text', Buffer.from('[1]').toString('base64url')],
    ['a text that no column holds', Buffer.from(JSON.stringify(['\0'])).toString('base64url')],
    ['half of a surrogate pair', Buffer.from(JSON.stringify(['\ud800'])).toString('base64url')],
  ])('refuses a cursor that is %s', (_, cursor) => {
    expect(() => pagingOf(undefined, cursor, ['text'])).toThrow(expect.objectContaining({ code: 'list.bad_cursor' }));
  });

  it.each([
    ['time', '0'],
    ['time', 'infinity'],
    ['time', '+275760-09-13T00:00:00Z'],
    ['number', '-1'],
    ['number', '1e3'],
    ['number', '9223372036854775808'],
  ] as const)('refuses a cursor whose %s is %s', (kind, part) => {
    const cursor = Buffer.from(JSON.stringify([part])).toString('base64url');
    expect(() => pagingOf(undefined, cursor, [kind])).toThrow(expect.objectContaining({ code: 'list.bad_cursor' }));
  });
});
