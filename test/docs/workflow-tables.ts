import type { TObject } from '@sinclair/typebox';

import { builtInSteps } from '#libs/steps/src/built-in.js';
import { COMMON_KEYS, UsesShape } from '#libs/workflows/src/language/fields.js';
import { keywordKinds } from '#libs/workflows/src/steps/registry.js';
import { StepLibrary } from '#libs/workflows/src/steps/step-library.js';
import { triggerKinds } from '#libs/workflows/src/triggers/registry.js';

/** Pages on workflows, with tables and examples. */
export const workflowPages = ['workflows.md', 'workflows/triggers.md'];

/** The tables of these pages, by the name in their markers: `<!-- table: steps -->` … `<!-- end -->`. */
export const workflowTables = (): Readonly<Record<string, string>> => ({
  triggers: table(
    ['trigger', 'key', 'meaning'],
    triggerKinds.flatMap(({ name, shape }) =>
      keysOf(shape)
        .filter((key) => key !== 'type')
        .map((key, index) => [index === 0 ? code(name) : '', code(key), descriptionOf(shape, key)]),
    ),
  ),
  'step keys': table(
    ['key', 'meaning'],
    [...COMMON_KEYS, 'retry'].map((key) => [code(key), descriptionOf(UsesShape, key)]),
  ),
  steps: table(
    ['step', 'takes', 'does'],
    [
      ...[...new StepLibrary(builtInSteps).named.values()].map(({ definition: { name, description, inputSchema } }) => [
        code(`uses: ${name}`),
        withMarks(inputSchema as TObject, keysOf(inputSchema as TObject)),
        description,
      ]),
      ...keywordKinds.map(({ name, shape }) => [
        code(name),
        withMarks(
          shape,
          keysOf(shape).filter((key) => !COMMON_KEYS.includes(key)),
        ),
        shape.description ?? '',
      ]),
    ],
  ),
});

/** A page with its tables as they are now. */
export const withTables = (page: string, tables: Readonly<Record<string, string>>): string =>
  page.replace(MARKED, (_, begin: string, name: string, _old: string, end: string) => {
    const written = tables[name];
    if (written === undefined) throw new Error(`there is no table "${name}"`);
    return `${begin}\n\n${written}\n\n${end}`;
  });

/** The tables that a page has. */
export const tablesIn = (page: string): Readonly<Record<string, string>> =>
  Object.fromEntries([...page.matchAll(MARKED)].map(([, , name, body]) => [name!, body!.trim()]));

const MARKED = /(<!-- table: ([\w ]+) -->)(.*?)(<!-- end -->)/gs;

/** A step may take values by any name. */
const keysOf = ({ properties = {} }: Partial<TObject>): string[] => Object.keys(properties);
const code = (text: string): string => `\`${text}\``;
const withMarks = ({ required = [] }: TObject, keys: readonly string[]): string =>
  keys.map((key) => code(required.includes(key) ? key : `${key}?`)).join(', ');
const descriptionOf = ({ properties }: TObject, key: string): string => properties[key]?.description ?? '';

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows]
    .map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
