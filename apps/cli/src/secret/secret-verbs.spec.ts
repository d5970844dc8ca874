import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import type { Given } from '../nouns/verb-table.js';
import { secretVerbs } from './secret-verbs.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-secret-'));
  await writeFile(join(folder, 'key'), 'two lines\nof a key\n');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const verb = (name: string, shell: FakeShell, args: readonly string[], options: Given = {}) =>
  secretVerbs.find(({ usage }) => usage.split(' ')[0] === name)!.run(shell, args, options);
const API_KEY = { name: 'API_KEY', createdAt: 't1', updatedAt: 't2' };

describe('secret', () => {
  it.each(['set', 'create'])(
    '%s reads the value from a file, without the last line break, and never prints it',
    async (name) => {
      const shell = new FakeShell({ 'PUT /api/v1/secrets/API_KEY': API_KEY });
      await verb(name, shell, ['API_KEY'], { valueFile: join(folder, 'key') });
      expect(shell.asked[0]!.body).toEqual({ value: 'two lines\nof a key' });
      expect(shell.out).toEqual(['API_KEY is set. Use it in workflows as ${{ secrets.API_KEY }}.']);
    },
  );

  it('names the file that cannot be read', async () => {
    const missing = join(folder, 'missing');
    await expect(verb('set', new FakeShell(), ['API_KEY'], { valueFile: missing })).rejects.toThrow(
      `${missing} cannot be read`,
    );
  });

  it('lists names and times, as a table, as JSON, or names alone', async () => {
    const answers = { 'GET /api/v1/secrets?limit=200': { data: [API_KEY], nextCursor: null } };
    const shell = new FakeShell(answers);
    await verb('ls', shell, []);
    expect(shell.out).toEqual(['NAME | CREATED | UPDATED', 'API_KEY | t1 | t2']);
    const json = Object.assign(new FakeShell(answers), { json: true });
    await verb('ls', json, []);
    expect(JSON.parse(json.out[0]!)).toEqual([API_KEY]);
    const quiet = Object.assign(new FakeShell(answers), { quiet: true });
    await verb('ls', quiet, []);
    expect(quiet.out).toEqual(['API_KEY']);
  });

  it('says what to do where there is none', async () => {
    const shell = new FakeShell({ 'GET /api/v1/secrets?limit=200': { data: [], nextCursor: null } });
    await verb('ls', shell, []);
    expect(shell.notes).toEqual(['There are no secrets. Set one: millrace secret set API_KEY < key.txt']);
  });

  it('removes a secret', async () => {
    const shell = new FakeShell({ 'DELETE /api/v1/secrets/API_KEY': {} });
    await verb('rm', shell, ['API_KEY']);
    expect(shell.out).toEqual(['API_KEY is removed. Steps that use it fail from now on.']);
  });
});
