import { isObject, type Json } from '#libs/kernel/src/json.js';
import { readYaml } from '#libs/yaml/src/read-yaml.js';
import type { SourceProblem } from '#libs/yaml/src/source-position.js';

import type { Definition } from './definition.js';
import { emptyTemplate, Expressions, type Visible } from './expressions.js';
import { WorkflowShape } from './fields.js';
import { declaredInputs } from './inputs.js';
import { hasLaterKey, LATER } from './later-words.js';
import { durationOf } from './literals.js';
import { SourceProblems } from './source-problems.js';
import { listOf, StepIds } from './step-ids.js';
import { StepReader } from './step-reader.js';
import { readTriggers } from './trigger-reader.js';
import type { Vocabulary } from './vocabulary.js';

export type ParsedWorkflow =
  | { readonly ok: true; readonly definition: Definition }
  | { readonly ok: false; readonly problems: readonly SourceProblem[] };

/** Most problems named at once: the first ones are usually the cause of the others. */
const MAX_PROBLEMS = 50;

export const MAX_SOURCE_BYTES = 256 * 1024;
const LIMITS = { maxBytes: MAX_SOURCE_BYTES, maxDepth: 64, maxValues: 20_000 };

/** What expressions see everywhere in a workflow. */
const ROOTS = ['event', 'inputs', 'steps', 'run', 'settings'];

/** YAML → a workflow that can run, or everything that is wrong with it. Never throws. */
export function parseWorkflow(source: string, vocabulary: Vocabulary): ParsedWorkflow {
  const read = readYaml(source, LIMITS);
  if ('problem' in read) return { ok: false, problems: [read.problem] };
  const problems = new SourceProblems(read.document);
  const definition = readDefinition(read.document.value, vocabulary, problems);
  if (definition && problems.found.length === 0) return { ok: true, definition };
  const inOrder = problems.found.toSorted((a, b) => a.line - b.line || a.column - b.column);
  return { ok: false, problems: inOrder.slice(0, MAX_PROBLEMS) };
}

function readDefinition(value: Json, vocabulary: Vocabulary, problems: SourceProblems): Definition | undefined {
  if (value === null) {
    problems.add('', 'yaml.empty', 'The text is empty. A workflow must have at least "name" and "steps".');
    return undefined;
  }
  if (!isObject(value)) {
    problems.add('', 'workflow.bad_value', 'A workflow must be an object with at least "name" and "steps".');
    return undefined;
  }
  const keys = Object.keys(WorkflowShape.properties);
  if (hasLaterKey(value, LATER.workflow, keys, '', `Allowed: ${keys.join(', ')}.`, problems)) return undefined;
  problems.fits(WorkflowShape, value, '');

  const triggers = readTriggers(listOf(value['triggers']), vocabulary.triggers, problems);
  const inputs = declaredInputs({ triggers });
  const root: Visible = { steps: [], roots: ROOTS, inputs: inputs && Object.keys(inputs) };
  const ids = new StepIds(vocabulary.keywords, problems);
  ids.assign({ '/steps': value['steps'], '/onFailure': value['onFailure'] });
  const reader = new StepReader(vocabulary, problems, ids);
  const { steps, visible } = reader.list(value['steps'], '/steps', root);
  const onFailure = reader.list(value['onFailure'], '/onFailure', { ...visible, roots: [...ROOTS, 'error'] });
  const outputs = new Expressions(problems).template(value['outputs'] ?? {}, '/outputs', visible);
  return {
    name: typeof value['name'] === 'string' ? value['name'] : '',
    description: typeof value['description'] === 'string' ? value['description'] : undefined,
    triggers,
    timeoutMs: durationOf(value['timeout']),
    steps,
    onFailure: onFailure.steps,
    outputs: value['outputs'] === undefined ? undefined : (outputs ?? emptyTemplate),
  };
}
