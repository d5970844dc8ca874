import { isObject, type Json } from '#libs/kernel/src/json.js';
import { readYaml } from '#libs/yaml/src/read-yaml.js';
import type { SourceProblem } from '#libs/yaml/src/source-position.js';

import type { Definition, Trigger } from './definition.js';
import { emptyTemplate, Expressions, type Visible } from './expressions-of.js';
import { shallow, UNSUPPORTED } from './grammar.js';
import { durationOf } from './literals.js';
import { Report } from './report.js';
import { listOf, StepIds } from './step-ids.js';
import type { StepLibrary } from './step-library.js';
import { StepReader } from './step-reader.js';
import { readTrigger } from './trigger-reader.js';

export type ParsedWorkflow =
  | { readonly ok: true; readonly definition: Definition }
  | { readonly ok: false; readonly problems: readonly SourceProblem[] };

/** Most problems named at once: the first ones are usually the cause of the others. */
const MAX_PROBLEMS = 50;

export const MAX_SOURCE_BYTES = 256 * 1024;
const LIMITS = { maxBytes: MAX_SOURCE_BYTES, maxDepth: 64, maxValues: 20_000 };

/** YAML → a workflow that can run, or everything that is wrong with it. Never throws. */
export function parseWorkflow(source: string, library: StepLibrary): ParsedWorkflow {
  const read = readYaml(source, LIMITS);
  if ('problem' in read) return { ok: false, problems: [read.problem] };
  const report = new Report(read.document);
  const definition = readDefinition(read.document.value, library, report);
  if (definition && report.problems.length === 0) return { ok: true, definition };
  const inOrder = report.problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  return { ok: false, problems: inOrder.slice(0, MAX_PROBLEMS) };
}

function readDefinition(value: Json, library: StepLibrary, report: Report): Definition | undefined {
  if (value === null) {
    report.at('', 'yaml.empty', 'The text is empty: a workflow has at least a name and steps.');
    return undefined;
  }
  if (!isObject(value)) {
    report.at('', 'workflow.bad_value', 'A workflow is a mapping with at least "name" and "steps".');
    return undefined;
  }
  const allowed = `Allowed: ${Object.keys(shallow.workflow.properties).join(', ')}.`;
  if (report.refuses(value, UNSUPPORTED.workflow, '', allowed)) return undefined;
  report.fits(shallow.workflow, value, '');

  const triggers = listOf(value['triggers'])
    .map((trigger, index) => readTrigger(trigger, `/triggers/${index}`, report))
    .filter((trigger): trigger is Trigger => trigger !== undefined);
  const manual = triggers.filter((trigger) => trigger.type === 'manual');
  if (manual.length > 1) report.at('/triggers', 'workflow.bad_value', 'There is one manual trigger at most.');

  const inputs = manual[0] === undefined ? undefined : Object.keys(manual[0].inputs);
  const ids = new StepIds(report);
  const reader = new StepReader(library, report, ids);
  const root: Visible = { steps: [], roots: ['event', 'inputs', 'steps', 'run', 'settings'], inputs };
  ids.name(value['steps'], value['onFailure']);
  const steps = reader.list(value['steps'], '/steps', root);
  const failing = reader.list(value['onFailure'], '/onFailure', {
    ...steps.visible,
    roots: [...root.roots, 'error'],
  });
  const expressions = new Expressions(report);
  const outputs = expressions.template(value['outputs'] ?? {}, '/outputs', steps.visible);
  return {
    name: typeof value['name'] === 'string' ? value['name'] : '',
    description: typeof value['description'] === 'string' ? value['description'] : undefined,
    triggers,
    timeoutMs: durationOf(value['timeout']),
    steps: steps.steps,
    onFailure: failing.steps,
    outputs: value['outputs'] === undefined ? undefined : (outputs ?? emptyTemplate),
  };
}
