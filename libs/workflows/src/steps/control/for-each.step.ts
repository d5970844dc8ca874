import { Type } from '@sinclair/typebox';

import type { CompiledExpression } from '#libs/expressions/src/compile.js';
import type { JsonSchema } from '#libs/expressions/src/schema.js';
import type { CompiledTemplate } from '#libs/expressions/src/template.js';
import { isExactNumber, isNumber } from '#libs/kernel/src/text/exact-json.js';
import { isObject, type Json } from '#libs/kernel/src/json.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import type { Step } from '../../language/definition.js';
import { emptyTemplate } from '../../language/expressions.js';
import { Condition, described, stepShape, StepList, Template, whole } from '../../language/fields.js';
import type { KeywordKind, StepDecision } from '../kind/step-kind.js';
import { evaluating } from '../kind/step-input.js';
import { ResultSchema } from '../kind/step-result.js';
import { itemIn, withItem } from '../kind/step-state.js';

interface ForEachFields {
  readonly items: CompiledTemplate;
  readonly concurrency: number;
  /** Evaluated after each item; once true, no further item begins. */
  readonly until: CompiledExpression | undefined;
  readonly onItemError: 'fail' | 'continue';
  readonly steps: readonly Step[];
}

/** Most items of one loop. */
export const MAX_ITEMS = 1000;

/** Runs its steps for each item of a list. */
export const forEachStep: KeywordKind<ForEachFields, { readonly isStopped: boolean }> = {
  form: 'keyword',
  name: 'forEach',
  shape: stepShape(
    {
      forEach: Type.Union([Template, Type.Array(Type.Unknown(), { maxItems: MAX_ITEMS })], {
        description: 'A list, or a template that gives one.',
        expected: 'a list, or a template such as ${{ inputs.items }} that gives one',
      }),
      concurrency: Type.Optional(whole(1, 100, 'Items at a time. Default 1, in order.')),
      until: Type.Optional(described(Condition, 'Evaluated after each item: once true, no further item begins.')),
      onItemError: Type.Optional(
        Type.Union([Type.Literal('fail'), Type.Literal('continue')], {
          description: '`fail` (default): a failed item fails the loop and stops the others. `continue`: they go on.',
        }),
      ),
      steps: StepList,
    },
    'Runs its steps for each item of a list, with `item` and `index` in scope.',
  ),
  nesting: { at: ['steps'], scope: 'own', lists: ({ steps }) => [steps] },
  outputSchema: Type.Object({
    results: Type.Array(Type.Unknown()),
    items: Type.Array(ResultSchema),
    stopped: Type.Boolean(),
  }),
  pace: 'lasting',
  events: {
    'run.loop_entered': { evolve: (step) => ({ ...step, noted: { isStopped: false } }) },
    'run.item_completed': {
      evolve: (step, { index, stop }) => ({
        ...step,
        items: withItem(step.items, index, { ...itemIn(step, index), done: true }),
        noted: { isStopped: stop || step.noted?.isStopped === true },
      }),
    },
  },

  read(raw, { pointer, visible, expressions, problems, list }) {
    const { forEach, concurrency, until } = raw;
    const inside = { ...visible, roots: { ...visible.roots, item: {}, index: Type.Integer() as JsonSchema } };
    const body = list(raw['steps'], `${pointer}/steps`, inside);
    const items = expressions.template(forEach as Json, `${pointer}/forEach`, visible);
    if (typeof forEach === 'string' && items?.expressions.length === 0)
      problems.add(
        `${pointer}/forEach`,
        'workflow.bad_value',
        'Must be a list, or a template such as ${{ inputs.items }} that gives one.',
      );
    const afterItem = { ...inside, steps: body.visible.steps };
    return {
      items: items ?? emptyTemplate,
      concurrency: typeof concurrency === 'number' ? concurrency : 1,
      until: until === undefined ? undefined : expressions.condition(until, `${pointer}/until`, afterItem),
      onItemError: raw['onItemError'] === 'continue' ? 'continue' : 'fail',
      steps: body.steps,
    };
  },

  decide({ items: template, concurrency, until, onItemError, steps }, decision) {
    const items = itemsOf(template, decision);
    if (decision.open?.noted === undefined) {
      decision.record('run.loop_entered', { count: items.length });
      decision.noteLimit('items', items.length, MAX_ITEMS);
    }
    const isStopped = () => decision.open?.noted?.isStopped === true;
    const passes = items.map((item, index) => decision.pass(index, item));
    let open = 0;
    for (const [index, pass] of passes.entries()) {
      if (pass.isDone || (!pass.isBegun && (open >= concurrency || isStopped()))) continue;
      const progress = pass.advance(steps);
      if (progress === 'open') open++;
      else if (progress !== 'done' && onItemError === 'fail') return decision.failed(progress.failed);
      else {
        const stop = until !== undefined && evaluating(() => until.test(pass.scope()));
        decision.record('run.item_completed', { index, stop });
      }
    }
    if (open > 0) return 'open';
    const done = passes.filter(({ isDone }) => isDone).map((pass) => pass.resultOf(steps));
    return decision.completed({ results: done.map(({ output }) => output), items: done, stopped: isStopped() });
  },
};

function itemsOf(template: CompiledTemplate, decision: StepDecision): readonly unknown[] {
  const items = evaluating(() => template.render(decision.scope()));
  if (!Array.isArray(items))
    throw new StepError({
      code: 'loop.no_list',
      message: `forEach needs a list; the expression returned ${typeInWords(items)}.`,
      retryable: false,
    });
  if (items.length > MAX_ITEMS)
    throw new StepError({
      code: 'loop.too_long',
      message: `forEach takes at most ${MAX_ITEMS} items; the expression returned ${items.length}.`,
      retryable: false,
    });
  return items as unknown[];
}

function typeInWords(value: unknown): string {
  if (value === null) return 'null';
  return isObject(value) && !isExactNumber(value) ? 'an object' : `a ${isNumber(value) ? 'number' : typeof value}`;
}
