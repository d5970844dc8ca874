import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

import { schemeKinds } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';
import { builtInPresets } from '#libs/providers/src/presets/built-in-presets.js';

import { presetPages } from './preset-pages.js';

const FOLDER = join(import.meta.dirname, '../../docs/integrations');
const textOf = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');
/** Formatting changes blank lines, numbers of lists, and escapes. */
const words = (text: string): string[] =>
  text
    .replaceAll(/[\\*_]/g, '')
    .split(/\s+/)
    .filter((word) => word !== '');

describe('the pages about senders', () => {
  it.each([...presetPages()])('%s is as the presets say; npm run docs writes it', (name, page) => {
    expect(words(textOf(name))).toEqual(words(page));
  });

  it('have every preset', () => {
    const pages = [...presetPages().values()].join('\n');
    for (const { name, title } of builtInPresets) {
      expect(pages).toContain(`\n## ${title}\n`);
      expect(pages).toContain(`Preset \`${name}\``);
    }
  });

  it('explain every kind of proof and every key of it', () => {
    const page = textOf('declaring-a-sender.md');
    for (const [kind, shape] of Object.entries(schemeKinds)) {
      expect(page).toContain(`\`${kind}\``);
      for (const key of Object.keys(shape.properties)) expect(page).toContain(`\`${key}\``);
    }
  });
});
