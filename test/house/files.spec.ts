import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

import { describe, expect, it } from '@jest/globals';

const ROOT = resolve(import.meta.dirname, '../..');
const ROLES = new Set([
  'events',
  'subscriber',
  'projection',
  'table',
  'worker',
  'view',
  'controller',
  'body',
  'step',
  'action',
  'trigger',
  'module',
  'adapter',
  'contract',
  'spec',
  'int.spec',
  'e2e.spec',
]);
const FORBIDDEN_WORDS = /^(service|manager|helper|helpers|util|utils|common|dto|mapper|repository|interface|base)$/;

/** What git knows, or would take in: nothing that is ignored. Outside a checkout there is nothing to hold to account. */
const files: readonly string[] = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .stdout.split('\0')
  .filter((name) => name !== '' && existsSync(join(ROOT, name)));
const sources = files.filter((name) => /^(apps|libs|test)\/.*\.tsx?$/.test(name));
const texts = files.filter(
  (name) => /\.(ts|tsx|mts|js|mjs|cjs|json|ya?ml|md|sh)$/.test(name) && name !== 'package-lock.json',
);
const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8');

describe('the names of files', () => {
  it('there are files to look at', () => {
    expect(sources.length).toBeGreaterThan(50);
  });

  it('are kebab-case, with a role of the closed list or none', () => {
    const wrong = sources.filter((name) => {
      const [stem = '', ...role] = basename(name)
        .replace(/\.tsx?$/, '')
        .split('.');
      return !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(stem) || (role.length > 0 && !ROLES.has(role.join('.')));
    });
    expect(wrong).toEqual([]);
  });

  it('say what is inside: none is a service, manager, helper or util', () => {
    const vague = sources.filter((name) =>
      basename(name)
        .split('.')
        .some((word) => FORBIDDEN_WORDS.test(word)),
    );
    expect(vague).toEqual([]);
  });

  it('no library has a barrel but at its root', () => {
    expect(sources.filter((name) => /^libs\/[^/]+\/.+\/index\.ts$/.test(name))).toEqual([]);
  });

  it('no source is longer than can be read in one sitting', () => {
    const long = sources.filter((name) => !name.endsWith('.spec.ts') && read(name).split('\n').length > 400);
    expect(long).toEqual([]);
  });
});

describe('folders', () => {
  /** Grow by a file with each release, in order of time, and with each kind of thing that events are about. */
  const LISTS = ['libs/persistence/src/migrations', 'libs/events/src/types'];

  it('hold at most 15 files beside specs: what is more has rooms', () => {
    const sizes = new Map<string, number>();
    for (const name of sources)
      if (!name.endsWith('.spec.ts')) sizes.set(dirname(name), (sizes.get(dirname(name)) ?? 0) + 1);
    expect([...sizes].filter(([folder, files]) => files > 15 && !LISTS.includes(folder))).toEqual([]);
  });
});

describe('the libraries', () => {
  const libraries = [...new Set(sources.flatMap((name) => /^libs\/([^/]+)\//.exec(name)?.[1] ?? []))];

  it.each(libraries)('%s has a README that says what each of its folders is for', (library) => {
    const readme = read(`libs/${library}/README.md`);
    const folders = sources.flatMap((name) => new RegExp(`^libs/${library}/src/([^/]+)/`).exec(name)?.[1] ?? []);
    expect([...new Set(folders)].filter((folder) => !readme.includes(`- \`${folder}/\`:`))).toEqual([]);
  });
});

it('nest-cli.json describes the application that exists', () => {
  const { projects, compilerOptions } = JSON.parse(read('nest-cli.json')) as {
    readonly projects: { readonly server: { readonly sourceRoot: string; readonly entryFile: string } };
    readonly compilerOptions: { readonly tsConfigPath: string };
  };
  const { sourceRoot, entryFile } = projects.server;
  expect(sources).toContain(`${sourceRoot}/${entryFile}.ts`);
  expect(read(compilerOptions.tsConfigPath)).toContain('"paths"');
});

describe('the repository', () => {
  it('names no folder of one machine', () => {
    // Put together here, so that this file does not name them either.
    const folders = new RegExp(`(^|[^\\w.])/(${['work', 'farm', 'root', 'Users'].join('|')})/`);
    expect(
      texts.filter((name) =>
        read(name)
          .split('\n')
          .some((line) => folders.test(line)),
      ),
    ).toEqual([]);
  });

  it('installs from whatever registry npm is set to: the lock file holds no addresses', () => {
    const lock = read('package-lock.json');
    expect(lock).not.toContain('"resolved"');
    expect(lock).not.toMatch(/https?:\/\/[^"]*registry/);
  });

  it('installs nothing that reports installations to others', () => {
    expect(read('package-lock.json')).not.toContain('scarf');
  });

  it('imports by the same names whether Node or a tool resolves them', () => {
    const { imports } = JSON.parse(read('package.json')) as { imports: Record<string, { source: string }> };
    const { compilerOptions } = JSON.parse(read('tsconfig.json')) as {
      compilerOptions: { paths: Record<string, readonly string[]> };
    };
    const sources = Object.entries(imports).map(([name, { source }]) => [name, [source]]);
    expect(compilerOptions.paths).toEqual(Object.fromEntries(sources));
  });

  it('has no test that needs a file outside the repository', () => {
    const outside = new RegExp(String.raw`\.\./shar${'ed'}/`);
    expect(texts.filter((name) => outside.test(read(name)))).toEqual([]);
  });

  /** Files whose tests are skipped on some machines, each with its reason. */
  const SKIPS: Readonly<Record<string, string>> = {
    'libs/persistence/src/embedded/embedded-postgres.int.spec.ts': 'only root can give up its rights',
  };

  it('runs every test that it has, and silences no type', () => {
    const own = basename(import.meta.filename);
    const code = sources.filter((name) => basename(name) !== own);
    expect(code.filter((name) => /\b(it|test|describe)\.(only|todo)\b/.test(read(name)))).toEqual([]);
    expect(code.filter((name) => /\b(it|test|describe)\.skip\b/.test(read(name)))).toEqual(Object.keys(SKIPS));
    expect(code.filter((name) => /@ts-(ignore|nocheck)/.test(read(name)))).toEqual([]);
  });

  it('is checked with the newest release of Node that it says it runs on', () => {
    const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
    const releases = [...engines.node.matchAll(/\^(\d+)/g)].map(([, major]) => Number(major));
    expect(read('.ci/run')).toContain(`--also-node ${Math.max(...releases)}\n`);
  });

  it('has programs that can be run as they are', () => {
    expect(statSync(join(ROOT, '.ci/run')).mode & 0o111).toBeGreaterThan(0);
  });
});
