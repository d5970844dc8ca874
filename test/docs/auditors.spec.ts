import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

import { type EventLine } from '#libs/audit/src/proof/tree/bundle.js';
import { leafBytes, leafHash } from '#libs/audit/src/proof/tree/leaf.js';

const page = readFileSync(join(import.meta.dirname, '../../docs/auditors.md'), 'utf8');
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(([, text]) => text!);

describe('the page for auditors', () => {
  it('gives the bytes and the hash of its example', () => {
    const [example] = blocks('json').map((text) => JSON.parse(text) as EventLine);
    const { id, stream, revision, type, data, metadata } = example!;
    const event = { id, stream, revision: BigInt(revision), type, rawData: data!, rawMetadata: metadata! };
    const [bytes, leaf] = blocks('text');
    expect(bytes!.replaceAll(/\s/g, '')).toBe(leafBytes(event).toString('hex'));
    expect(leaf!.trim()).toBe(leafHash(event).toString('base64'));
  });
});
