import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import { describe, expect, it } from '@jest/globals';

import { Decision } from '#libs/events/src/types/rule.events.js';
import { RunStatus } from '#libs/events/src/shapes/run-shape.js';

const ROOT = resolve(import.meta.dirname, '../..');
const textOf = (name: string): string => readFileSync(join(ROOT, name), 'utf8');
const files = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .stdout.split('\0')
  .filter((name) => name !== '' && existsSync(join(ROOT, name)));
const pages = files.filter((name) => name.endsWith('.md'));
const architecture = textOf('ARCHITECTURE.md');
/** What stands in backticks. */
const codesIn = (text: string): readonly string[] => [...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!);
const isPath = (code: string): boolean => /^(apps|libs|test|docs|workflows|\.ci)\/[\w<>./-]*$/.test(code);

/** Whether a file declares a name: a function, constant or type at its top, or a method. */
const declares = (text: string, name: string): boolean =>
  new RegExp(
    String.raw`^(export )?(abstract )?(async )?(function|class|const|interface|type) ${name}\b` +
      String.raw`|^ {2}((private|protected|override|static|async|get|set) )*${name}[(<](?!.*;$)`,
    'm',
  ).test(text);

/** Whether there is such a file or folder; `<kind>` stands for any name. */
function exists(path: string): boolean {
  const pattern = new RegExp(`^${path.replaceAll(/[.]/g, '\\.').replaceAll(/<\w+>/g, '[\\w-]+')}`);
  return files.some((name) => pattern.test(name));
}

describe('ARCHITECTURE.md', () => {
  const named = codesIn(architecture)
    .map((code) => /^([\w/.-]+\.ts):(\w+)$/.exec(code))
    .flatMap((match) => (match ? [{ file: match[1]!, name: match[2]! }] : []));

  it('follows a webhook through the code', () => {
    expect(named.length).toBeGreaterThan(40);
  });

  it('names functions that exist, each in its file', () => {
    const missing = named.filter(({ file, name }) => !files.includes(file) || !declares(textOf(file), name));
    expect(missing).toEqual([]);
  });

  it.each(['b', 'd'])('a name that a file only uses (%s) is not declared there', (name) => {
    const text =
      "import { b } from './b.js';\nclass C {\n  private async c(): Promise<void> {\n    d();\n  }\n}\nif (b) {\n  d(1);\n}\n";
    expect(declares(text, 'c')).toBe(true);
    expect(declares(text, name)).toBe(false);
  });

  /** The first cells of the table below a bold word. */
  const statesOf = (thing: string): readonly string[] => {
    const table = architecture.slice(architecture.indexOf(`**${thing}**`)).split(/\n\n(?!\|)/)[0]!;
    return [...table.matchAll(/^\| `(\w+)`/gm)].map(([, state]) => state!);
  };
  const literals = (file: string, pattern: RegExp): readonly string[] => {
    const found = [...textOf(file).matchAll(pattern)].flatMap(([, list]) => [...list!.matchAll(/'(\w+)'/g)]);
    return [...new Set(found.map(([, literal]) => literal!))];
  };
  const machines: Readonly<Record<string, readonly string[]>> = {
    Run: RunStatus.anyOf.map(({ const: status }) => status),
    Step: literals('libs/workflows/src/steps/kind/step-state.ts', /^.*readonly status: ('\w+').*$/gm),
    Delivery: literals('libs/deliveries/src/delivery/delivery.ts', /readonly status: ([^;]+);/g),
    'Rule decision': Decision.properties.outcome.anyOf.map(({ const: outcome }) => outcome),
    Work: literals('libs/persistence/src/migrations/0001-core.ts', /check \(state in \(([^)]+)\)\)/g),
  };
  it.each(Object.entries(machines))('has the states of a %s as the code has them', (thing, states) => {
    expect(states.length).toBeGreaterThan(2);
    expect([...statesOf(thing)].sort()).toEqual([...states].sort());
  });
});

describe('every page', () => {
  it.each(pages)('%s links to what exists', (page) => {
    const links = [
      ...textOf(page)
        .replaceAll(/^```.*?^```$/gms, '')
        .matchAll(/\]\(([^)\s]+)\)/g),
    ].map(([, link]) => link!);
    const local = links.filter((link) => !/^(https?:|mailto:|#)/.test(link)).map((link) => link.split('#')[0]!);
    expect(local.filter((link) => !existsSync(join(ROOT, dirname(page), link)))).toEqual([]);
  });

  it.each(['ARCHITECTURE.md', 'CONTRIBUTING.md', 'README.md', 'SECURITY.md'])('%s names files that exist', (page) => {
    const paths = codesIn(textOf(page)).filter(isPath);
    expect(paths.filter((path) => !exists(path))).toEqual([]);
  });
});

describe('the index of decisions', () => {
  it('has every page, once', () => {
    const links = [...textOf('docs/decisions/README.md').matchAll(/^- \[[^\]]+\]\(([\w-]+\.md)\)/gm)].map(
      ([, link]) => link!,
    );
    const there = readdirSync(join(ROOT, 'docs/decisions')).filter((name) => name !== 'README.md');
    expect([...links].sort()).toEqual([...there].sort());
  });
});

describe('the license', () => {
  it('is there in full, and is the one that package.json names', () => {
    expect(JSON.parse(textOf('package.json'))).toMatchObject({ license: 'Apache-2.0' });
    expect(textOf('LICENSE')).toMatch(/Apache License\s+Version 2\.0.*END OF TERMS AND CONDITIONS/s);
  });
});
