import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';

const ROOT = resolve(import.meta.dirname, '../../../..');

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

/** Gives all these things one name, in a process of its own; the ids that have it, or the signal that ended it. */
async function claim(name: number, ids: readonly string[], crashAt = ''): Promise<string[] | string> {
  const program = 'libs/event-store/testing/naming-process.ts';
  const given = ['--conditions=source', '--import', './test/support/register-ts.mjs', program];
  const child = spawn(process.execPath, [...given, database.url, String(name), ...ids], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '', MILLRACE_CRASH_AT: crashAt },
  });
  const [printed, [, signal]] = await Promise.all([
    text(child.stdout),
    once(child, 'exit') as Promise<[number | null, string | null]>,
  ]);
  return signal ?? (JSON.parse(printed) as string[]);
}

describe('a name that only one can have', () => {
  test('goes to one thing, whichever of three processes ask for ten each', async () => {
    const ids = (process: string) => Array.from({ length: 10 }, (_, n) => `${process}${n}`);
    const has = await Promise.all(['p', 'q', 'r'].map((process) => claim(7, ids(process))));
    expect(has.flat()).toHaveLength(1);
  });

  test('is not lost with a process that dies between reserving and taking it', async () => {
    expect(await claim(7, ['first'], 'names.reserved')).toBe('SIGKILL');
    expect(await claim(7, ['second'])).toEqual(['second']);
    expect(await claim(7, ['first'])).toEqual([]);
    expect(await claim(8, ['first'])).toEqual(['first']);
  });
});
