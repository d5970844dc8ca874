import { hearsItself, heardAgain, typesAfter } from '#libs/events/src/consequences.js';
import { ENGINE } from '#libs/events/src/envelope.js';
import { globMatcher } from '#libs/events/src/patterns.js';
import { isObject, type Json } from '#libs/kernel/src/json.js';
import { assuming } from '#libs/vocabulary/src/vocabulary.js';
import { readYaml } from '#libs/yaml/src/read-yaml.js';
import type { SourceProblem } from '#libs/yaml/src/source-position.js';

import type { Concurrency, Definition, Trigger } from '../definition.js';
import { emptyTemplate, type Expressions } from '../expressions.js';
import { WorkflowShape } from '../fields.js';
import { asSteps, inGraphText, isGraph } from './graph-source.js';
import { timeLimitOf } from './time-limits.js';
import { failureSchema, type Visible, visibleAtFirst, visibleInFinally } from '../scope-schema.js';
import { inOrder, type KnownOrganisation, SourceProblems } from '../source-problems.js';
import { warnAboutCredentials } from './literal-credentials.js';
import { listOf, StepIds } from './step-ids.js';
import { StepReader } from './step-reader.js';
import { readTriggers } from './trigger-reader.js';
import type { Vocabulary } from '../vocabulary.js';

export type ParsedWorkflow = (
  | { readonly ok: true; readonly definition: Definition }
  | { readonly ok: false; readonly problems: readonly SourceProblem[] }
) & {
  /** Allowed, but probably not intended. */
  warnings(): readonly SourceProblem[];
};

/** Most problems named at once: the first ones are usually the cause of the others. */
const MAX_PROBLEMS = 50;

export const MAX_SOURCE_BYTES = 256 * 1024;
const LIMITS = { maxBytes: MAX_SOURCE_BYTES, maxDepth: 64, maxValues: 20_000, onlyStorable: true };

/** YAML → a workflow that can run, or everything that is wrong with it. Never throws. */
export function parseWorkflow(source: string, vocabulary: Vocabulary): ParsedWorkflow {
  const read = readYaml(source, LIMITS);
  if ('problem' in read) return { ok: false, problems: [read.problem], warnings: () => [] };
  const { value } = read.document;
  const problems = new SourceProblems(
    read.document,
    isObject(value) && isGraph(value) ? inGraphText : undefined,
    withItself(vocabulary.organisation, value),
  );
  const definition = readDefinition(value, vocabulary, problems);
  const warnings = (): readonly SourceProblem[] => problems.warnings().slice(0, MAX_PROBLEMS);
  if (definition && problems.found.length === 0) return { ok: true, definition, warnings };
  return { ok: false, problems: inOrder(problems.found).slice(0, MAX_PROBLEMS), warnings };
}

/** A workflow may start itself. */
const withItself = (organisation: KnownOrganisation | undefined, workflow: Json): KnownOrganisation | undefined =>
  typeof organisation === 'object' && isObject(workflow) && typeof workflow['name'] === 'string'
    ? assuming(organisation, { workflows: [workflow['name']] })
    : organisation;

function readDefinition(given: Json, vocabulary: Vocabulary, problems: SourceProblems): Definition | undefined {
  if (given === null) {
    problems.add('', 'yaml.empty', 'Must not be empty: a workflow must have at least "name" and "steps".');
    return undefined;
  }
  if (!isObject(given)) {
    problems.add('', 'workflow.bad_value', 'A workflow must be an object with at least "name" and "steps".');
    return undefined;
  }
  const value = isGraph(given) ? asSteps(given, problems) : given;
  problems.fits(WorkflowShape, value, '');

  const triggers = readTriggers(listOf(value['triggers']), vocabulary, problems);
  const root = visibleAtFirst(triggers, varsIn([value['steps'], value['onFailure'], value['finally']]));
  const ids = new StepIds(vocabulary.keywords, problems);
  const last = finallyOf(value['finally'], problems);
  ids.assign({ '/steps': value['steps'], '/onFailure': value['onFailure'], [last.pointer]: last.steps });
  const reader = new StepReader(vocabulary, problems, ids);
  const { steps, visible } = reader.list(value['steps'], '/steps', root);
  const onFailure = reader.list(value['onFailure'], '/onFailure', {
    ...visible,
    roots: { ...root.roots, error: failureSchema },
  });
  const lastSteps = reader.list(last.steps, last.pointer, visibleInFinally(visible));
  problems.suspect(() => warnAboutCredentials(value, problems));
  if (value['allowRecursion'] !== true) problems.suspect(() => warnAboutRecursion(value, triggers, problems));
  const outputs = reader.expressions.template(value['outputs'] ?? {}, '/outputs', visible);
  return {
    name: typeof value['name'] === 'string' ? value['name'] : '',
    description: typeof value['description'] === 'string' ? value['description'] : undefined,
    disabled: value['disabled'] === true,
    labels: isObject(value['labels']) ? (value['labels'] as Record<string, string>) : {},
    triggers,
    timeoutMs: timeLimitOf(value['timeout'], '/timeout', problems),
    allowRecursion: value['allowRecursion'] === true,
    concurrency: concurrencyOf(value['concurrency'], root, reader.expressions, problems),
    steps,
    onFailure: onFailure.steps,
    finally: value['finally'] === undefined ? undefined : { steps: lastSteps.steps, timeoutMs: last.timeoutMs },
    outputs: value['outputs'] === undefined ? undefined : (outputs ?? emptyTemplate),
    secrets: [...reader.expressions.secrets],
  };
}

const FINALLY_MS = 3_600_000;

/** A list of steps, or an object that holds one. */
const finallyOf = (value: unknown, problems: SourceProblems) =>
  isObject(value)
    ? {
        steps: value['steps'],
        pointer: '/finally/steps',
        timeoutMs: timeLimitOf(value['timeout'], '/finally/timeout', problems) ?? FINALLY_MS,
      }
    : { steps: value, pointer: '/finally', timeoutMs: FINALLY_MS };

function concurrencyOf(
  value: unknown,
  root: Visible,
  expressions: Expressions,
  problems: SourceProblems,
): Concurrency | undefined {
  if (!isObject(value)) return undefined;
  const {
    key,
    limit = 1,
    onConflict = 'queue',
    maxQueued = 100,
    whileWaiting = 'hold',
  } = value as Partial<Omit<Concurrency, 'key'>> & { key?: string };
  const visible = { ...root, roots: { event: root.roots['event']!, inputs: root.roots['inputs']! } };
  const compiled = typeof key === 'string' ? expressions.template(key, '/concurrency/key', visible) : undefined;
  if (typeof key === 'string' && /^(event|inputs)\./.test(key) && !key.includes('${{'))
    problems.suspect(() =>
      problems.warn(
        '/concurrency/key',
        'workflow.constant_key',
        `The key is this text: all runs share it. Write \${{ ${key} }} to use the value.`,
      ),
    );
  return { key: compiled, limit, onConflict, maxQueued, whileWaiting };
}

/** A workflow that listens to what its own runs record, or to what their steps lead to. */
function warnAboutRecursion(
  workflow: Readonly<Record<string, unknown>>,
  triggers: readonly Trigger[],
  problems: SourceProblems,
): void {
  const follow = [
    ...typesAfter('dispatch_workflow'),
    ...typesOfSteps([workflow['steps'], workflow['onFailure'], workflow['finally']]),
  ];
  for (const [index, { types = [] }] of triggers.entries()) {
    const source = listOf(workflow['triggers'])[index];
    // Requests from outside follow from no run.
    const sources = isObject(source) && 'event' in source ? [source['source'] ?? '*'].flat() : [];
    if (!sources.some((glob) => typeof glob === 'string' && globMatcher(glob)(ENGINE))) continue;
    const heard = heardAgain((type) => types.some((known) => known === type), follow);
    if (heard.length > 0)
      problems.warn(`/triggers/${index}/event`, 'workflow.hears_itself', hearsItself('workflow', heard));
  }
}

/** Names that the steps in a value set, however deep. */
function varsIn(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(varsIn);
  if (!isObject(value)) return [];
  const { uses, with: input, ...rest } = value;
  return [...(uses === 'set' && isObject(input) ? Object.keys(input) : []), ...Object.values(rest).flatMap(varsIn)];
}

/** What the steps in a value lead to, however deep. */
function typesOfSteps(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(typesOfSteps);
  if (!isObject(value)) return [];
  const { uses, with: input, ...rest } = value;
  const emitted = uses === 'emit' && isObject(input) && typeof input['type'] === 'string' ? [input['type']] : [];
  const own = typeof uses === 'string' ? typesAfter(uses) : [];
  return [...own, ...emitted, ...Object.values(rest).flatMap(typesOfSteps)];
}
