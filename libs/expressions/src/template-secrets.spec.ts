import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { withSecrets } from '#libs/events/src/secrets/secret-places.js';
import type { Json } from '#libs/kernel/src/json.js';

import { compileTemplate, holdsMark, renderMarked, secretIn, secretsIn, unmarked } from './template.js';

const filled = (template: Json, scope: object) => unmarked(renderMarked(compileTemplate(template), scope));

describe('secrets in templates', () => {
  it('are recorded by name and place, and put in there', () => {
    const { value, places } = filled(
      { headers: { 'a/b~': 'Bearer ${{ secrets.KEY }}' }, list: [['${{secrets.A}}${{ event.x }}${{ secrets.KEY }}']] },
      { event: { x: 'é' } },
    );
    expect(value).toEqual({
      headers: { 'a/b~': 'Bearer ${{ secrets.KEY }}' },
      list: [['${{ secrets.A }}é${{ secrets.KEY }}']],
    });
    expect(places).toEqual([
      { pointer: '/headers/a~1b~0', index: 7, name: 'KEY' },
      { pointer: '/list/0/0', index: 0, name: 'A' },
      { pointer: '/list/0/0', index: 17, name: 'KEY' },
    ]);
    const values = new Map([
      ['KEY', 'k'],
      ['A', '${{ secrets.KEY }}'],
    ]);
    expect(withSecrets(value, places, values)).toEqual({
      headers: { 'a/b~': 'Bearer k' },
      list: [['${{ secrets.KEY }}ék']],
    });
  });

  it('are no texts of events that look like one', () => {
    const text = '${{ secrets.KEY }}';
    const { value, places } = filled(
      { a: '${{ event.x }}', b: '${{ event.x }} ${{ secrets.KEY }}' },
      { event: { x: text } },
    );
    expect(places).toEqual([{ pointer: '/b', index: text.length + 1, name: 'KEY' }]);
    expect(withSecrets(value, places, new Map([['KEY', 'k']]))).toEqual({ a: text, b: `${text} k` });
  });

  it('come back wherever they stood, whatever is around them', () => {
    const part = fc.oneof(
      fc.constant('${{ secrets.KEY }}'),
      fc.constant('${{ event.x }}'),
      fc.string().map((text) => text.replaceAll('${{', '')),
    );
    fc.assert(
      fc.property(fc.array(fc.array(part)), fc.string(), fc.string(), (lists, x, key) => {
        const template = lists.map((parts) => parts.join(''));
        fc.pre(template.every((text) => !/\$\{\{(?! (secrets\.KEY|event\.x) \}\})/.test(text)));
        const { value, places } = filled(template, { event: { x } });
        const expected = template.map((text) =>
          text
            .split('${{ event.x }}')
            .map((rest) => rest.split('${{ secrets.KEY }}').join(key))
            .join(x),
        );
        expect(withSecrets(value, places, new Map([['KEY', key]]))).toEqual(expected);
      }),
    );
  });

  it('leave numbers and everything else as they are', () => {
    const value = { a: 1, b: null, c: [true], d: '${{ secrets.KEY }}' };
    expect(filled(value, {}).value).toEqual(value);
    const plain = { a: [{ b: 'c' }] };
    expect(unmarked(plain).value).toBe(plain);
  });

  it('are whole expressions with a name', () => {
    expect(
      [' secrets.KEY ', 'secrets.K_2', 'secrets.key', "secrets.A || 'b'", 'x.secrets.A', 'secrets'].map(secretIn),
    ).toEqual(['KEY', 'K_2', undefined, undefined, undefined, undefined]);
    expect(secretsIn(compileTemplate(['${{ secrets.A }}', '${{ secrets.B }} ${{ secrets.A }}']))).toEqual(['A', 'B']);
  });

  it('are open where a schema is checked', () => {
    const marked = renderMarked(compileTemplate({ a: 'x ${{ secrets.A }}', b: 'x' }), {}) as { a: string; b: string };
    expect([holdsMark(marked.a), holdsMark(marked.b), holdsMark(1)]).toEqual(['text', false, false]);
  });
});
