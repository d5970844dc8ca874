import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { describe, expect, it } from '@jest/globals';

import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';

const ROOT = resolve(import.meta.dirname, '../..');
/** Where names are put together. Everybody else imports them, so that a search finds all who share one. */
const OWNERS = ['libs/events/src/streams.ts', 'libs/events/src/followers.ts'];

const sources = spawnSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard', '-z', 'libs', 'apps', 'test'],
  {
    cwd: ROOT,
    encoding: 'utf8',
  },
)
  .stdout.split('\0')
  .filter((name) => name.endsWith('.ts') && !name.startsWith('test/house/') && !OWNERS.includes(name));
/** Lines of code, with their file. */
const code = sources.flatMap((name) =>
  readFileSync(join(ROOT, name), 'utf8')
    .split('\n')
    .filter((line) => !/^\s*(\*|\/\/|\/\*)/.test(line))
    .map((line) => ({ name, line: line.trim() })),
);
const where = (pattern: RegExp, among = code): string[] =>
  among.filter(({ line }) => pattern.test(line)).map(({ name, line }) => `${name}: ${line}`);

/** `run` of `streams.run(id)`: what the names of each kind begin with, whatever their arguments are. */
const kinds = new Set(
  Object.entries(streams)
    .filter(([name]) => !/^(is[A-Z]|uuidIn$)/.test(name))
    .map(([, name]) => (name as (...given: readonly string[]) => string)('x', 'x'))
    .map((stream) => stream.slice(0, stream.indexOf('-'))),
);
/** A prefix alone, one that something is appended to, or one in a regular expression. */
const PREFIX = new RegExp(
  ['[\'"`](KIND)-([\'"`]|\\$\\{)', '/\\^[(a-z|]*\\b(KIND)\\b[a-z|)]*-']
    .join('|')
    .replaceAll('KIND', [...kinds].join('|')),
);

describe('names that others depend on', () => {
  it('there are files and names to look at', () => {
    expect(sources.length).toBeGreaterThan(300);
    expect([...kinds]).toEqual(expect.arrayContaining(['run', 'decisions', 'inbound', 'delivery']));
  });

  it('prefixes of stream names are spelled in streams.ts alone', () => {
    expect(where(PREFIX)).toEqual([]);
  });

  it.each(["x.startsWith('run-')", 'f(`run-${id}`)', '/^(decisions|run)-/.test(x)', '["run-"]'])(
    'the search finds %s, and no word that only begins so',
    (line) => {
      expect(PREFIX.test(line)).toBe(true);
      expect(PREFIX.test("headers['webhook-id'] === 'issue-opened'")).toBe(false);
    },
  );

  it('each table is named in one library alone: others ask that library', () => {
    const owners = new Map<string, Set<string>>();
    for (const { name, line } of code) {
      // Migrations make the tables, and specs may look into any.
      if (!/^(libs|apps)\/.*\/src\//.test(name) || /\.spec\.ts$|\/migrations\//.test(name)) continue;
      for (const [, table = ''] of line.matchAll(/(?:\bviews\.|schema: 'views', name: ')([a-z_]+)/g))
        owners.set(table, (owners.get(table) ?? new Set<string>()).add(name.split('/').slice(0, 2).join('/')));
    }
    expect(owners.size).toBeGreaterThan(20);
    expect([...owners].filter(([, some]) => some.size > 1).map(([table, some]) => [table, ...some])).toEqual([]);
  });

  it('what follows the log is named in followers.ts alone', () => {
    const names = Object.values(followers).map((name) => name.replaceAll('.', '\\.'));
    // Specs of the server show names as samples, and so does the example of an event.
    const program = code.filter(
      ({ name }) => !name.startsWith('apps/') && !/\.spec\.ts$|^libs\/events\/src\/.*\.events\.ts$/.test(name),
    );
    expect(where(new RegExp(`['"\`](${names.join('|')})['"\`]`), program)).toEqual([]);
  });
});
