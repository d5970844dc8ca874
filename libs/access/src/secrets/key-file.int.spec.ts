import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { keyFromFile, readKeyFile } from './key-file.js';

describe('the key of a data folder', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-key-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is drawn at the first start and the same ever after', () => {
    expect(readKeyFile(folder)).toBeUndefined();
    const key = keyFromFile(folder);
    expect(key).toHaveLength(32);
    expect(keyFromFile(folder)).toEqual(key);
    expect(readKeyFile(folder)).toEqual(key);
  });

  it('makes the folder if it is not there', () => {
    expect(keyFromFile(join(folder, 'new', 'data'))).toHaveLength(32);
  });

  it('can be read by its owner alone', () => {
    keyFromFile(folder);
    expect(statSync(join(folder, 'secret.key')).mode & 0o777).toBe(0o600);
  });

  it('that is damaged is named, and never replaced: the stored secrets hang on it', () => {
    writeFileSync(join(folder, 'secret.key'), 'damaged');
    expect(() => keyFromFile(folder)).toThrow(/secret\.key .*Restore it from a backup/);
    expect(() => readKeyFile(folder)).toThrow(/secret\.key/);
  });
});
