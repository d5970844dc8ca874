import { describe, expect, it } from '@jest/globals';

import { MINUTE, played } from '../../../testing/played.js';
import type { WorldOptions } from '../../../testing/virtual-world.js';
import type { RequestOutcome } from '../kind/step-kind.js';

const REQUESTS: Readonly<Record<string, string>> = {
  'workflow.requested': 'uses: workflow, with: { workflow: other }',
  'agent.requested': 'uses: dispatch_agent, with: { agent: helper }',
  'message.requested': 'uses: send_message, with: { integration: chat, text: x }',
  'issue.requested': 'uses: create_issue, with: { title: x, tracker: acme/app }',
  'webhook.requested': 'uses: send_webhook, with: { webhook: whk_1, payload: {} }',
  'webhook.redelivery_requested': 'uses: redeliver_webhook, with: { delivery: del_1 }',
  'approval.requested': 'approval: { title: Go? }',
};
const types = Object.keys(REQUESTS);
const all = Object.values(REQUESTS).map((step, index) => `{ steps: [{ id: r${index}, ${step} }] }`);
const nap = '{ steps: [{ wait: { for: 1m } }] }';

/** What a run has withdrawn, and the types of the events around the first of it. */
async function given(steps: string, options: Partial<WorldOptions> = {}) {
  const { events, ...more } = await played({ yaml: `name: x\n${steps}`, respond: () => undefined, ...options });
  const withdrawn = events.flatMap((event) => (event.is('run.request_withdrawn') ? [event.data] : []));
  const at = events.findIndex(({ type }) => type === 'run.request_withdrawn');
  const after = events.slice(at).find(({ type }) => type !== 'run.request_withdrawn');
  const known = new Map(events.map(({ id, type }) => [id, type]));
  for (const { requestId, request } of withdrawn) expect(known.get(requestId)).toBe(request);
  return {
    events,
    withdrawn: withdrawn.map(({ request }) => request),
    paths: withdrawn.map(({ path }) => path),
    after,
    ...more,
  };
}

describe('what a step has requested and nobody waits for any more', () => {
  it('is withdrawn as soon as another branch has won, before the run goes on', async () => {
    const { withdrawn, after, last, elapsed } = await given(
      `steps:\n  - { id: both, race: true, parallel: [${[...all, nap].join(', ')}] }\n  - { wait: { for: 1h } }\n`,
    );
    expect(withdrawn).toEqual(types);
    expect(after).toMatchObject({ type: 'workflow.step_completed', data: { path: 'both' } });
    expect(last('workflow.completed')).toBeDefined();
    expect(elapsed).toBe(61 * MINUTE);
  });

  it('is withdrawn when another branch has failed, or an item of the loop', async () => {
    const fails = '{ steps: [{ waitForEvent: { event: git.push, timeout: 1m } }] }';
    const branches = [...all, fails].join(', ');
    const failed = await given(`steps:\n  - { id: both, parallel: [${branches}] }\n`);
    expect(failed.withdrawn).toEqual(types);
    expect(failed.after).toMatchObject({ type: 'workflow.error', data: { path: 'both' } });
    // The other branches go on.
    expect((await given(`steps:\n  - { onError: continue, parallel: [${branches}] }\n`)).withdrawn).toEqual([]);
    const loop = await given(
      'steps:\n  - { id: each, forEach: [1, 2, 3], concurrency: 3, onError: continue, steps: [{ uses: workflow, with: { workflow: other } }, { if: item == `2`, id: stop, waitForEvent: { event: git.push, timeout: 1m } }] }\n  - { wait: { for: 1h } }\n',
      {
        respond: ({ type, data }) =>
          type === 'workflow.requested' &&
          String((data['requestedBy'] as { stepId: string }).stepId).startsWith('each[1]')
            ? done
            : undefined,
      },
    );
    expect(loop.paths).toEqual(['each[0].workflow_1', 'each[2].workflow_1']);
  });

  it.each(Object.entries(REQUESTS))('is withdrawn when the time of the step is over: %s', async (type, step) => {
    const { withdrawn, after } = await given(
      `steps:\n  - { id: go, ${step}, timeout: 1m, onError: continue }\n  - { wait: { for: 1h } }\n`,
    );
    expect(withdrawn).toEqual([type]);
    expect(after).toMatchObject({ type: 'workflow.error', data: { path: 'go' } });
  });

  it('is withdrawn before it is requested again', async () => {
    const { withdrawn, story } = await given(
      'steps:\n  - { id: go, uses: workflow, with: { workflow: other }, timeout: 1m, retry: { maxAttempts: 2, delay: 1m } }\n',
    );
    expect(withdrawn).toEqual(['workflow.requested', 'workflow.requested']);
    expect(story.indexOf('run.request_withdrawn go')).toBe(story.indexOf('run.attempt_failed go') - 1);
  });

  it('is withdrawn once where the time of the run is over, whatever follows', async () => {
    const { withdrawn, after, paths } = await given(
      `timeout: 1m\nsteps:\n  - { id: both, parallel: [${all.join(', ')}] }\nonFailure: [{ wait: { for: 1s } }]\nfinally: [{ wait: { for: 1s } }]\n`,
    );
    expect(withdrawn).toEqual(types);
    expect(new Set(paths).size).toBe(types.length);
    expect(after).toMatchObject({ type: 'run.recovery_started' });
  });

  const done: RequestOutcome = {
    type: 'workflow.completed',
    data: { runId: 'run_2', workflowId: 'wf_2', workflow: 'other', startedAt: '2026-01-01T00:00:00.000Z', outputs: {} },
  };
  it('is not withdrawn where its outcome is there, or where it is detached', async () => {
    const other = 'uses: workflow, with: { workflow: other }';
    const { withdrawn } = await given(
      `steps:\n  - { parallel: [{ steps: [{ ${other} }, { wait: { for: 1m } }] }, { steps: [{ uses: workflow, with: { workflow: other, detached: true } }] }] }\n`,
      { respond: ({ type }) => (type === 'workflow.requested' ? done : undefined) },
    );
    expect(withdrawn).toEqual([]);
  });
});
