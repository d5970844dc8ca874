import type { TObject } from '@sinclair/typebox';

import { builtInSteps } from '#libs/steps/src/built-in.js';
import { MAX_DURATION_MS } from '#libs/kernel/src/time/durations.js';
import { MAX_RUN_STEPS } from '#libs/workflows/src/engine/advance-steps.js';
import { COMMON_KEYS, MAX_STEPS, Retry, UsesShape, WorkflowShape } from '#libs/workflows/src/language/fields.js';
import { MAX_SOURCE_BYTES } from '#libs/workflows/src/language/reading/parse-workflow.js';
import { MAX_ITEMS } from '#libs/workflows/src/steps/control/for-each.step.js';
import { parallelStep } from '#libs/workflows/src/steps/control/parallel.step.js';
import { MAX_ITERATIONS } from '#libs/workflows/src/steps/control/while.step.js';
import { failure } from '#libs/workflows/src/steps/kind/step-failure.js';
import { MAX_VALUE_BYTES } from '#libs/workflows/src/steps/kind/step-input.js';
import { keywordKinds } from '#libs/workflows/src/steps/registry.js';
import { StepLibrary } from '#libs/workflows/src/steps/step-library.js';
import { CaseShape, ExpectedStepShape, ExpectShape, MockShape } from '#libs/workflows/src/trial/test-shape.js';
import { triggerKinds } from '#libs/workflows/src/triggers/registry.js';

import { errorCodes, namedTypes } from './workflow-errors.js';

/** Pages on workflows, with tables and examples. */
export const workflowPages = [
  'workflows/expressions.md',
  'workflows/graphs.md',
  'workflows/reference.md',
  'workflows/testing.md',
  'workflows/versions-and-retries.md',
  'workflows.md',
  'workflows/triggers.md',
];

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
  'workflow keys': keyTable(WorkflowShape),
  'retry keys': keyTable(Retry),
  'error codes': table(
    ['code', 'type', 'when', 'what to do'],
    Object.entries(errorCodes).map(([name, [when, remedy]]) => [
      code(name),
      namedTypes[name] ?? failure(name, '').type ?? '',
      when,
      remedy,
    ]),
  ),
  bounds: table(
    ['what', 'at most'],
    [
      ['text of a workflow', kibibytes(MAX_SOURCE_BYTES)],
      ['steps in the text', number(MAX_STEPS)],
      ['steps of a run, items and iterations included', number(MAX_RUN_STEPS)],
      ['items of a `forEach`', number(MAX_ITEMS)],
      ['iterations of a `while`', number(MAX_ITERATIONS)],
      ['branches of a `parallel`', number(parallelStep.shape.properties['parallel']!['maxItems'] as number)],
      ['input or output of a step, `outputs` and variables of a run', kibibytes(MAX_VALUE_BYTES)],
      ['a duration', `${number(MAX_DURATION_MS / 86_400_000)} d`],
    ],
  ),
  'test keys': keyTable(CaseShape),
  'mock keys': keyTable(MockShape),
  'expect keys': keyTable(ExpectShape),
  'expected step keys': keyTable(ExpectedStepShape),
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

const keyTable = (shape: TObject): string =>
  table(
    ['key', 'meaning'],
    keysOf(shape).map((key) => [code(key), descriptionOf(shape, key)]),
  );
const number = (value: number): string => value.toLocaleString('en');
const kibibytes = (bytes: number): string => `${number(bytes / 1024)} KiB`;

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
