import { describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import type { Given } from '../nouns/verb-table.js';
import { eventTypeVerbs } from './event-type-verbs.js';

const verb = (name: string, shell: FakeShell, args: readonly string[], options: Given = {}) =>
  eventTypeVerbs.find(({ usage }) => usage.split(' ')[0] === name)!.run(shell, args, options);
const type = (name: string, more: object = {}) => ({
  type: name,
  description: 'What it says.',
  builtIn: false,
  system: false,
  version: 1,
  archived: false,
  schema: {},
  example: {},
  updatedAt: 't',
  ...more,
});
const listed = {
  'GET /api/v1/event-types?limit=200': {
    data: [type('git.push', { builtIn: true }), type('developer.added'), type('developer.gone', { archived: true })],
    nextCursor: null,
  },
};

describe('event-type', () => {
  it('lists all types but archived ones, or those of the organisation alone', async () => {
    const shell = new FakeShell(listed);
    await verb('ls', shell, []);
    expect(shell.out.slice(1)).toEqual([
      'git.push | built-in | 1 | What it says.',
      'developer.added | own | 1 | What it says.',
    ]);
    const own = Object.assign(new FakeShell(listed), { quiet: true });
    await verb('ls', own, [], { own: true, archived: true });
    expect(own.out).toEqual(['developer.added', 'developer.gone']);
  });

  it('creates the type of a file, and saves a new version of it', async () => {
    const shell = new FakeShell({
      'POST /api/v1/event-types': type('git.push'),
      'PUT /api/v1/event-types/git.push': type('git.push', { version: 2 }),
    });
    await verb('create', shell, ['push.json']);
    await verb('update', shell, ['push.json']);
    expect(shell.asked.map(({ body }) => body)).toEqual([{ type: 'git.push' }, {}]);
    expect(shell.out).toEqual(['git.push is at version 1.', 'git.push is now at version 2.']);
  });

  it('says what a file must have', async () => {
    await expect(verb('update', new FakeShell(), ['rule.yaml'])).rejects.toThrow('must have "type"');
  });

  it('archives a type', async () => {
    const shell = new FakeShell({ 'POST /api/v1/event-types/a.b/archive': type('a.b', { archived: true }) });
    await verb('archive', shell, ['a.b']);
    expect(shell.out).toEqual(['a.b is archived. Its events stay.']);
  });
});
