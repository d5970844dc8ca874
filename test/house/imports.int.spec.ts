import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const ROOT = resolve(import.meta.dirname, '../..');

interface Violation {
  readonly from: string;
  readonly rule: { readonly name: string };
}

function run(folder: string, ...more: readonly string[]) {
  const program = join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const args = [program, '--config', '.dependency-cruiser.cjs', ...more, 'apps', 'libs'];
  return spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
}

/** What the linter finds, by the repository's own rules, in files that were planted for it. */
function violationsIn(folder: string): readonly Violation[] {
  const { stdout, stderr } = run(folder, '--output-type', 'json');
  if (!stdout.startsWith('{')) throw new Error(`the linter refused to work: ${stdout}${stderr}`);
  return (JSON.parse(stdout) as { summary: { violations: Violation[] } }).summary.violations;
}

function repositoryWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-imports-'));
  for (const name of ['.dependency-cruiser.cjs', 'package.json', 'tsconfig.json'])
    copyFileSync(join(ROOT, name), join(folder, name));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const [name, text] of Object.entries({ 'apps/server/src/app.ts': 'export const app = 1;\n', ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

interface Rule {
  readonly name: string;
  readonly comment: string;
}
const { forbidden } = createRequire(import.meta.url)(join(ROOT, '.dependency-cruiser.cjs')) as {
  readonly forbidden: readonly Rule[];
};
/** The rooms of each folder from the top down, as the comment of each rule lists them. */
const ROOMS: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  forbidden.flatMap(({ name, comment }) => {
    const [, folder] = /^rooms-(.+)\/[^/]+$/.exec(name) ?? [];
    return folder === undefined ? [] : [[folder, /one way: (.+)\.$/.exec(comment)![1]!.split(' → ')]];
  }),
);
/** In each room a file that imports, by its type alone, from the room above. */
const UPWARDS = Object.entries(ROOMS).flatMap(([folder, rooms]) =>
  rooms
    .slice(1)
    .map(
      (room, index) =>
        [
          `rooms-${folder}/${room}`,
          `${folder}/${room}/bad.ts`,
          `import type { a } from '../${rooms[index]}/a.js';\nexport type B = typeof a;\n`,
        ] as const,
    ),
);

/** One file for each thing that nobody may do, by the rule that must find it. */
const WRONG: readonly (readonly [rule: string, file: string, text: string])[] = [
  ...UPWARDS,
  ['directions-kernel', 'libs/kernel/src/bad.ts', `import { a } from '#libs/events/src/a.js';\nexport const b = a;\n`],
  ['kernel-imports-node-only', 'libs/kernel/src/package.ts', `import { pino } from 'pino';\nexport const b = pino;\n`],
  [
    'directions-events',
    'libs/events/src/bad.ts',
    `import { a } from '#libs/event-store/src/a.js';\nexport const b = a;\n`,
  ],
  [
    'directions-event-store',
    'libs/event-store/src/bad.ts',
    `import { a } from '#libs/persistence/src/a.js';\nexport const b = a;\n`,
  ],
  [
    'directions-providers',
    'libs/providers/src/bad.ts',
    `import { a } from '#libs/event-store/src/a.js';\nexport const b = a;\n`,
  ],
  [
    'directions-expressions',
    'libs/expressions/src/bad.ts',
    `import { a } from '#libs/rules/src/a.js';\nexport const b = a;\n`,
  ],
  ['directions-yaml', 'libs/yaml/src/bad.ts', `import { a } from '#libs/events/src/a.js';\nexport const b = a;\n`],
  [
    'directions-egress',
    'libs/egress/src/bad.ts',
    `import { a } from '#libs/persistence/src/a.js';\nexport const b = a;\n`,
  ],
  [
    'directions-plugin-sdk',
    'libs/plugin-sdk/src/bad.ts',
    `import { a } from '#libs/event-store/src/a.js';\nexport const b = a;\n`,
  ],
  [
    'directions-persistence',
    'libs/persistence/src/bad.ts',
    `import { a } from '#libs/rules/src/a.js';\nexport const b = a;\n`,
  ],
  ['directions-steps', 'libs/steps/src/bad.ts', `import { a } from '#libs/egress/src/a.js';\nexport const b = a;\n`],
  [
    'directions-event-index',
    'libs/event-index/src/bad.ts',
    `import { a } from '#libs/rules/src/a.js';\nexport const b = a;\n`,
  ],
  ['directions-flow', 'libs/flow/src/bad.ts', `import { a } from '#libs/rules/src/a.js';\nexport const b = a;\n`],
  [
    'directions-event-types',
    'libs/event-types/src/bad.ts',
    `import { a } from '#libs/rules/src/a.js';\nexport const b = a;\n`,
  ],
  [
    'directions-vocabulary',
    'libs/vocabulary/src/bad.ts',
    `import { a } from '#libs/rules/src/a.js';\nexport const b = a;\n`,
  ],
  ['directions-privacy', 'libs/privacy/src/bad.ts', `import { a } from '#libs/rules/src/a.js';\nexport const b = a;\n`],
  ['directions-access', 'libs/access/src/bad.ts', `import { a } from '#libs/rules/src/a.js';\nexport const b = a;\n`],
  [
    'stages-never-import-each-other',
    'libs/rules/src/bad.ts',
    `import { a } from '#libs/deliveries/src/a.js';\nexport const b = a;\n`,
  ],
  [
    'stages-know-no-plugin',
    'libs/intake/src/bad.ts',
    `import { a } from '#libs/providers/src/a.js';\nexport const b = a;\n`,
  ],
  [
    'libs-know-no-app',
    'libs/audit/src/bad.ts',
    `import { app } from '#apps/server/src/app.js';\nexport const b = app;\n`,
  ],
  [
    'apps-stand-alone',
    'apps/cli/src/bad.ts',
    `import { app } from '#apps/server/src/app.js';\nexport const b = app;\n`,
  ],
  [
    'console-imports-nothing-of-ours',
    'apps/console/src/bad.ts',
    `import { a } from '#libs/kernel/src/a.js';\nexport const b = a;\n`,
  ],
  [
    'cli-talks-rest-only',
    'apps/cli/src/deep.ts',
    `import type { a } from '#libs/rules/src/a.js';\nexport type B = typeof a;\n`,
  ],
  [
    'cli-takes-types-of-events',
    'apps/cli/src/check.ts',
    `import { a } from '#libs/events/src/a.js';\nexport const b = a;\n`,
  ],
  [
    'frameworks-behind-roles',
    'libs/rules/src/plain.ts',
    `import { DataSource } from 'typeorm';\nexport const b = DataSource;\n`,
  ],
  [
    'eventstoredb-under-its-adapter',
    'libs/rules/src/bad.adapter.ts',
    `import { jsonEvent } from '@eventstore/db-client';\nexport const b = jsonEvent;\n`,
  ],
  [
    'egress-is-the-way-out',
    'libs/rules/src/call.adapter.ts',
    `import { get } from 'node:https';\nexport const b = get;\n`,
  ],
  [
    'test-code-stays-in-tests',
    'libs/event-store/src/double.ts',
    `import { a } from '#libs/event-store/testing/a.js';\nexport const b = a;\n`,
  ],
  ['no-cycles', 'libs/rules/src/one.ts', `import { two } from './two.js';\nexport const one = () => two;\n`],
  [
    'no-cycles',
    'libs/rules/src/change.ts',
    `import type { Thing } from './thing.js';\nexport class Change { of?: Thing }\n`,
  ],
  ['resolves', 'libs/rules/src/lost.ts', `import { a } from './nowhere.js';\nexport const b = a;\n`],
];
const NEIGHBOURS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['kernel', 'events', 'event-store', 'persistence', 'providers', 'egress', 'rules', 'deliveries'].map((lib) => [
      `libs/${lib}/src/a.ts`,
      'export const a = 1;\n',
    ]),
  ),
  'libs/event-store/testing/a.ts': 'export const a = 1;\n',
  'libs/rules/src/thing.ts': `import type { Change } from './change.js';\nexport interface Thing { readonly last?: Change }\n`,
  ...Object.fromEntries(
    Object.entries(ROOMS).flatMap(([folder, rooms]) =>
      rooms.map((room) => [`${folder}/${room}/a.ts`, 'export const a = 1;\n']),
    ),
  ),
  'libs/rules/src/two.ts': `import { one } from './one.js';\nexport const two = () => one;\n`,
};
const RIGHT: Readonly<Record<string, string>> = {
  'apps/cli/src/answers.ts': `import type { a } from '#libs/events/src/a.js';\nexport type A = typeof a;\n`,
  'libs/rules/src/types.ts': `import type { DataSource } from 'typeorm';\nexport type Database = DataSource;\n`,
  'libs/rules/src/fine.adapter.ts': `import { DataSource } from 'typeorm';\nimport { a } from '#libs/event-store/src/a.js';\nexport const b = [DataSource, a];\n`,
};

describe('the import linter', () => {
  let folder: string;
  let found: readonly Violation[];
  beforeAll(() => {
    folder = repositoryWith({
      ...NEIGHBOURS,
      ...RIGHT,
      ...Object.fromEntries(WRONG.map(([, file, text]) => [file, text])),
    });
    found = violationsIn(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('fails, so that a build with a wrong import fails', () => {
    expect(run(folder).status).toBeGreaterThan(0);
  });

  it.each(WRONG.map(([rule, file]) => [rule, file]))('%s finds what is planted in %s', (rule, file) => {
    expect(found.filter(({ from }) => from === file).map((one) => one.rule.name)).toContain(rule);
  });

  it('leaves alone what is allowed: type-only imports, and frameworks in files whose role says so', () => {
    expect(found.filter(({ from }) => from in RIGHT)).toEqual([]);
  });

  it('is shown a wrong import for every rule that it has', () => {
    expect(new Set(WRONG.map(([rule]) => rule))).toEqual(new Set(forbidden.map(({ name }) => name)));
  });

  it('passes when nothing is wrong', () => {
    const clean = repositoryWith({ 'libs/kernel/src/a.ts': 'export const a = 1;\n' });
    try {
      expect(run(clean).status).toBe(0);
    } finally {
      rmSync(clean, { recursive: true, force: true });
    }
  });
});
