import { type EventStore, platformEvent } from '#libs/event-store/src/event-store.js';
import { readAt } from '#libs/event-store/src/reading.js';
import { missingFrom } from '#libs/event-store/src/subscriber.js';
import { personalOf } from '#libs/events/src/envelope.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import type { Definition } from '../../language/definition.js';
import { declaredInputs, defaultInputs, inputsOf } from '../../language/inputs.js';
import { judge } from '../../triggers/registry.js';
import type { WorkflowTable } from '../../workflow/workflow.table.js';
import type { NewRun } from '../first-append.js';
import { readRun } from './change-run.js';
import { takenOver } from './take-over-steps.js';

export interface Restart {
  readonly runId: string;
  readonly orgId: string;
  /** Id of the other run. */
  readonly newRunId: string;
  /** On the version that is active now. */
  readonly latest?: boolean;
  /** In place of those that the run had. */
  readonly inputs?: Readonly<Record<string, unknown>>;
  /** The step to begin with. */
  readonly from?: string;
  /** Outputs of steps before it, in place of those that the run had. */
  readonly outputs?: Readonly<Record<string, unknown>>;
}

export interface Versions {
  find(workflowId: string, version: string): Promise<Definition | undefined>;
  /** The active ones. */
  readonly workflows: WorkflowTable;
}

/**
 * What another run needs that does the same, from the beginning or from a later step: the event, the inputs, the version and the cause of one that
 * has ended.
 * @throws Transient `table.incomplete`
 * @throws Rejected `run.not_found`, `run.not_ended`, `workflow.not_active`, `workflow.broken`, `run.invalid_inputs`, and
 * what `takenOver` throws
 */
export async function restartOf(
  store: EventStore,
  versions: Versions,
  { runId, newRunId, orgId, latest = false, inputs: given, from, outputs = {} }: Restart,
): Promise<Omit<NewRun, 'retrySchedule' | 'by'>> {
  if (from === undefined && Object.keys(outputs).length > 0)
    throw new Rejected('invalid', 'run.invalid_outputs', 'The outputs are invalid.', {
      problems: [{ pointer: '/outputs', detail: 'Must be used with "from".' }],
    });
  const { recorded, run } = await readRun(store, runId, orgId);
  const first = recorded[0]!;
  if (!run.ended)
    throw new Rejected('conflict', 'run.not_ended', `The run is ${run.status}. Cancel it before you restart it.`);
  const { workflowId, workflow: name, trigger, inputs, event, events } = run.start;
  const active = latest ? versions.workflows.get(workflowId) : undefined;
  if (latest && !active)
    throw missingFrom(
      versions.workflows,
      new Rejected('conflict', 'workflow.not_active', `"${name}" has no active version. Activate one.`),
    );
  const version = active?.version ?? run.start.version;
  const definition = latest ? active?.definition : await versions.find(workflowId, version);
  if (!definition)
    throw new Rejected('conflict', 'workflow.broken', `"${name}" cannot run: a step that it uses is not installed.`);
  const about = event && (await readAt(store, event.stream, event.revision));
  const all = events && (await Promise.all(events.map((one) => readAt(store, one.stream, one.revision))));
  const { $correlationId, $causationId, hop, causedBy } = first.metadata;
  const personal = personalOf(...recorded.filter((one) => one.isReadable).map(({ metadata }) => metadata));
  // A run that a person began has no cause but itself.
  const isCaused = $causationId !== undefined;
  return {
    runId: newRunId,
    orgId,
    workflow: { id: workflowId, name, version, definition },
    trigger: about && latest ? { ...trigger, ...placeOf(definition, workflowId, about) } : trigger,
    inputs: given || latest ? inputsFor(definition, given ?? inputs) : inputs,
    event: about,
    ...(all && { events: all.filter((one) => one !== undefined) }),
    cause: isCaused ? { $correlationId, $causationId, hop, ...(causedBy && { causedBy }) } : undefined,
    ...personal,
    restartOf: runId,
    ...(from !== undefined && { reused: takenOver(run, recorded, definition, newRunId, { from, outputs }) }),
  };
}

/** Where the trigger stands in another version. */
function placeOf(
  { triggers }: Definition,
  workflowId: string,
  about: Parameters<typeof platformEvent>[0],
): { readonly index?: number } {
  const index = triggers.findIndex(
    (trigger) => judge(trigger, platformEvent(about), { workflowId, receiver: 'any' }).kind === 'fits',
  );
  return index < 0 ? {} : { index };
}

/** Inputs as the version declares them. Without a manual trigger there are none. */
function inputsFor(definition: Definition, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const declared = declaredInputs(definition);
  return declared ? inputsOf(declared, given) : defaultInputs(definition);
}
