import { expect, it } from '@jest/globals';
import fc from 'fast-check';

import { parseJson } from '#libs/kernel/src/text/exact-json.js';

import { readYaml } from './read-yaml.js';
import { writeYaml } from './write-yaml.js';

const LIMITS = { maxBytes: 1_000_000, maxDepth: 64, maxValues: 100_000 };
const read = (text: string) => {
  const result = readYaml(text, LIMITS);
  return 'problem' in result ? result.problem : result.document.value;
};

it('what is written is read as the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4, noUnicodeString: false }), (value) => {
      const plain = JSON.parse(JSON.stringify({ value }).replaceAll('-0', '0')) as { value: unknown };
      fc.pre(!JSON.stringify(plain).includes('__proto__'));
      expect(read(writeYaml(plain))).toEqual(plain);
    }),
  );
});

it('long numbers keep their digits', () => {
  expect(writeYaml(parseJson('{"id":7615917337495251231}'))).toContain('7615917337495251231');
});
