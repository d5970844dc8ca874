import type { EventType } from '#libs/events/src/catalogue.js';
import type { StepDefinition } from '#libs/plugin-sdk/src/define-step.js';

import { isObject } from '#libs/kernel/src/json.js';

import type { Step } from '../language/definition.js';
import type { NamedSyntax } from '../language/vocabulary.js';
import { effectStep } from './effects/effect.step.js';
import { createIssueStep } from './effects/create-issue.step.js';
import { dispatchAgentStep } from './effects/dispatch-agent.step.js';
import { emitStep } from './effects/emit.step.js';
import { graphStep } from './control/graph.step.js';
import { parallelStep } from './control/parallel.step.js';
import { sendMessageStep } from './effects/send-message.step.js';
import { sendWebhookStep } from './effects/send-webhook.step.js';
import { workflowStep } from './effects/workflow.step.js';
import { setStep } from './effects/set.step.js';
import { whileStep } from './control/while.step.js';
import { forEachStep } from './control/for-each.step.js';
import { pureStep } from './effects/pure.step.js';
import { redeliverWebhookStep } from './effects/redeliver-webhook.step.js';
import { ONLY_COMPUTES } from './kind/attempt-failed.js';
import type { Behaviour, KeywordKind, NamedKind, StepEvent, StepKind } from './kind/step-kind.js';
import { switchStep } from './control/switch.step.js';
import { approvalStep } from './waiting/approval.step.js';
import { waitForEventStep } from './waiting/wait-for-event.step.js';
import { waitStep } from './waiting/wait.step.js';

/** Every kind of step, one line each. All the rest of this file follows from it. */
export const stepKinds: readonly StepKind[] = [
  effectStep,
  pureStep,
  emitStep,
  setStep,
  sendWebhookStep,
  sendMessageStep,
  redeliverWebhookStep,
  createIssueStep,
  dispatchAgentStep,
  workflowStep,
  waitStep,
  waitForEventStep,
  approvalStep,
  switchStep,
  parallelStep,
  graphStep,
  forEachStep,
  whileStep,
];

export const keywordKinds = stepKinds.filter((kind): kind is KeywordKind => kind.form === 'keyword');
export const namedKinds = stepKinds.filter((kind): kind is NamedKind => kind.form === 'named');

const byName = new Map(stepKinds.map((kind) => [kind.name, kind]));

/** How a step that was read runs. */
export const kindOf = (step: Step): Behaviour<object, unknown> => registered(step);

function registered(step: Step): StepKind {
  const kind = byName.get(step.kind);
  if (!kind) throw new Error(`there is no kind of step "${step.kind}"`);
  return kind;
}

/** The lists of steps that a step holds, where they stand in it, and whether what is in them is seen after it. */
export function nestedIn(step: Step): {
  readonly lists: readonly (readonly Step[])[];
  readonly at: readonly string[];
  readonly isShared: boolean;
} {
  const kind = registered(step);
  const nesting = kind.form === 'keyword' ? kind.nesting : undefined;
  return { lists: nesting?.lists(step) ?? [], at: nesting?.at ?? [], isShared: nesting?.scope === 'shared' };
}

/** What is written of a step, without the steps that it holds. */
export function ownKeys(step: Step): Readonly<Record<string, unknown>> {
  const { at } = nestedIn(step);
  return at.length === 0 ? step.written : (without(step.written, at) as Readonly<Record<string, unknown>>);
}

function without(value: unknown, [key, ...rest]: readonly string[]): unknown {
  if (key === undefined) return undefined;
  if (key === '*') return Array.isArray(value) ? value.map((entry) => without(entry, rest)) : value;
  if (!isObject(value)) return undefined;
  return { ...value, [key]: without(value[key], rest) };
}

/** All steps of these lists, and of the lists in them. */
export const allSteps = (steps: readonly Step[]): readonly Step[] =>
  steps.flatMap((step) => [step, ...nestedIn(step).lists.flatMap(allSteps)]);

/** Steps, and those inside them that stand in the same scope. */
export const withShared = (steps: readonly Step[]): readonly Step[] =>
  steps.flatMap((step) => {
    const { lists, isShared } = nestedIn(step);
    return isShared ? [step, ...lists.flatMap(withShared)] : [step];
  });

/** Whether a step waits for an answer from the world, which a test must say. */
export function isMockable(step: Step): boolean {
  const kind = registered(step);
  return kind.pace === 'attempts' || Object.keys(kind.events ?? {}).includes('run.step_awaiting');
}

/** What `uses` may name beside the steps of plug-ins. */
export const namedSyntax = (kind: NamedKind): NamedSyntax => ({
  kind: kind.name,
  definition: kind,
  takesSecrets: kind.takesSecrets === true,
  ...(kind.noRetry !== undefined && { noRetry: kind.noRetry }),
  ...(kind.check && { check: (...input: Parameters<NonNullable<NamedSyntax['check']>>) => kind.check!(...input) }),
});
export const librarySyntax = (definition: StepDefinition): NamedSyntax => ({
  kind: definition.effects ? effectStep.name : pureStep.name,
  takesSecrets: definition.effects,
  ...(!definition.effects && { noRetry: ONLY_COMPUTES }),
  definition,
});

/** What kinds record about steps, by event type. */
export const stepEvents: ReadonlyMap<string, StepEvent<EventType, unknown>> = new Map(
  stepKinds.flatMap(({ events = {} }) => Object.entries(events)),
);

/** Types of requests to other parts of the platform, which name the step that asks. */
export const requestTypes: ReadonlySet<string> = new Set(stepKinds.flatMap(({ request }) => request ?? []));

/** Types that may be the outcome of a request. */
export const requestOutcomes: readonly EventType[] = unique(stepKinds.flatMap(({ outcomes = [] }) => outcomes));

/** Types that deciding steps may append. @param attempts whether attempts run there too. */
export const stepEventTypes = (attempts: 'with attempts' | 'without attempts'): readonly EventType[] =>
  unique([
    'workflow.step_completed',
    'workflow.error',
    'run.step_skipped',
    'run.timer_set',
    'run.timer_fired',
    ...stepKinds
      .filter(({ pace }) => attempts === 'with attempts' || pace !== 'attempts')
      .flatMap(({ events = {}, appends = [] }) => [...(Object.keys(events) as EventType[]), ...appends]),
  ]);

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
