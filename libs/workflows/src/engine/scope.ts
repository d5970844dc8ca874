import type { PlatformEvent } from '#libs/events/src/envelope.js';

import { emptyItem, type Frame, type Item, type StartedRun, stepIn, type StepState } from './run.js';

/** The steps of a workflow, or those of one item of a loop inside it. */
export interface Room {
  /** Path of the item, or empty. */
  readonly prefix: string;
  readonly outer: Room | undefined;
  /** Id of the loop in the outer room. */
  readonly loop: string;
  readonly index: number;
  readonly item: unknown;
}

export const rootRoom: Room = { prefix: '', outer: undefined, loop: '', index: 0, item: null };

/** What has become of the steps of a room so far. */
export function frameOf(run: StartedRun, room: Room): Frame {
  return room.outer === undefined ? run.steps : itemOf(run, room).steps;
}

export function itemOf(run: StartedRun, room: Room): Item {
  const loop = room.outer && stepIn(frameOf(run, room.outer), room.loop);
  return (loop?.state === 'looping' ? loop.items[room.index] : undefined) ?? emptyItem;
}

/** What expressions of a step see. */
export function scopeOf(run: StartedRun, event: PlatformEvent | undefined, room: Room): Record<string, unknown> {
  const { runId, workflow, version, inputs, settings } = run.start;
  return {
    event: event ?? null,
    inputs,
    steps: stepsSeen(run, room),
    run: { id: runId, workflow, version, startedAt: run.startedAt },
    settings,
    ...(run.failing === undefined ? {} : { error: run.failing }),
    ...(room.outer === undefined ? {} : { item: room.item, index: room.index }),
  };
}

/** Steps of the room and of those around it. Ids are unique in a workflow, so none hides another. */
function stepsSeen(run: StartedRun, room: Room): Record<string, unknown> {
  const seen = room.outer === undefined ? {} : stepsSeen(run, room.outer);
  for (const [id, step] of Object.entries(frameOf(run, room))) {
    const shown = shownAs(step);
    if (shown) seen[id] = shown;
  }
  return seen;
}

function shownAs(step: StepState): object | undefined {
  switch (step.state) {
    case 'completed':
      return { status: 'completed', output: step.output, error: null };
    case 'failed':
      return { status: 'failed', output: step.output, error: step.error };
    case 'skipped':
      return { status: 'skipped', output: null, error: null };
    default:
      return undefined;
  }
}
