import { describe, expect, it } from '@jest/globals';

import type { Place } from '#libs/persistence/src/claims/work.js';

import { testSteps } from '../../testing/library.js';
import { parseWorkflow } from '../language/reading/parse-workflow.js';
import { savedVocabulary } from '../language/vocabulary.js';
import { firstAppend } from './first-append.js';

const now = new Date('2026-01-01T00:00:00Z');
const PURE = '{ id: one, uses: set, with: { x: 1 } }';
const CALL = '{ id: two, uses: call, with: { to: x } }';
const LINKED = '{ id: ask, approval: { title: Go?, approvers: ["role:admin"], links: true } }';

class OnePlace implements Place {
  readonly process = '01a22cd3-56fc-7002-b9e1-b696ce3b5587';
  readonly claim = '-7';
  taken = 0;
  released = 0;
  begin(): void {}
  release(): void {
    this.released += 1;
  }
  readonly take = (): Place => {
    this.taken += 1;
    return this;
  };
}

function begun(steps: string, take?: () => Place | undefined) {
  const parsed = parseWorkflow(
    `name: w\ntriggers: [{ type: manual }]\nsteps: [${steps}]\n`,
    savedVocabulary(testSteps),
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const workflow = { id: 'wf_1', name: 'w', version: 'v1', definition: parsed.definition };
  const run = { runId: 'run_1', orgId: 'org_1', workflow, trigger: { kind: 'manual' as const }, inputs: {} };
  const made = firstAppend({ ...run, event: undefined, cause: undefined, retrySchedule: [] }, now, take);
  const start = JSON.parse(made.events[0]!.data) as { claim?: object };
  return { ...made, types: made.events.map(({ type }) => type), claim: start.claim };
}

describe('the first append of a run', () => {
  it('begins the first attempt where there is a place, and names who has it', () => {
    const { types, claim, place, decision } = begun(`${PURE}, ${CALL}`, new OnePlace().take);
    expect(types).toEqual([
      'workflow.started',
      'workflow.status_changed',
      'run.vars_set',
      'workflow.step_completed',
      'run.step_started',
    ]);
    expect(claim).toEqual({ process: '01a22cd3-56fc-7002-b9e1-b696ce3b5587', number: '-7' });
    expect(place).toBeDefined();
    expect(decision!.attempts).toMatchObject([{ path: 'two', attempt: 1 }]);
  });

  it('leaves it to a worker where there is none', () => {
    const { types, claim, place, decision } = begun(`${PURE}, ${CALL}`);
    expect(types).toEqual(['workflow.started', 'workflow.status_changed', 'run.vars_set', 'workflow.step_completed']);
    expect([claim, place, decision!.isUnfinished]).toEqual([undefined, undefined, true]);
  });

  it('has other ids for each claim: who comes second must not take its events for its own', () => {
    const [one, none] = [begun(CALL, new OnePlace().take), begun(CALL)];
    expect(one.events[0]!.id).toBe(none.events[0]!.id);
    expect(one.events[1]!.id).not.toBe(none.events[1]!.id);
  });

  it('takes no place for a run that only computes', () => {
    const places = new OnePlace();
    expect(begun(PURE, places.take).types.at(-1)).toBe('workflow.status_changed');
    expect(places.taken).toBe(0);
  });

  it('gives the place back where nothing can be attempted', () => {
    const places = new OnePlace();
    const { claim, place } = begun(LINKED, places.take);
    expect([claim, place]).toEqual([undefined, undefined]);
    expect(places).toMatchObject({ taken: 1, released: 1 });
  });
});
