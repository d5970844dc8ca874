import { describe, expect, it } from '@jest/globals';

import type { Role } from '#libs/access/src/caller.js';
import type { ApprovalDecision } from '#libs/events/src/shapes/run-shape.js';
import { derivedId } from '#libs/kernel/src/ids.js';

import { testSteps } from '../../testing/library.js';
import { VirtualWorld } from '../../testing/virtual-world.js';
import { parseWorkflow } from '../language/reading/parse-workflow.js';
import { timelineOf } from '../run/shown/timeline.js';
import { type Approver, decideApproval } from './decide-approval.js';

const yaml = (fields: string) => `
name: x
steps:
  - { id: ok, approval: { title: 'Deploy \${{ inputs.version }}?', ${fields} } }
outputs: { got: '\${{ steps.ok.output }}' }
`;
const orgId = derivedId('org', 'virtual');
const who = (name: string, roles: readonly Role[] = ['designer']): Approver => ({
  orgId,
  actor: `token/${name}`,
  roles,
  name,
});

async function waiting(fields = '') {
  const world = new VirtualWorld({ yaml: yaml(fields), inputs: { version: 'v1' } });
  await world.begin();
  await world.goOn();
  const { runId } = (await world.events())[0]!.data as { runId: string };
  return {
    world,
    vote: (approver: Approver, vote: ApprovalDecision, path = 'ok') =>
      decideApproval(world.memory, { runId, path }, approver, vote, () => world.clock.now()),
    /** How the run goes on. */
    async outcome() {
      await world.goOn();
      const events = await world.events();
      const last = events.findLast((event) => event.is('workflow.completed', 'workflow.failed'));
      if (last?.is('workflow.completed')) return last.data.outputs['got'];
      return last?.is('workflow.failed') ? last.data.error : undefined;
    },
    decided: async () =>
      (await world.memory.readAll({ from: 0n, filter: { types: ['approval.decided'] }, limit: 10 })).events,
  };
}
const approve = { decision: 'approve' } as const;
const reject = { decision: 'reject', comment: 'Not today.' } as const;

describe('an approval', () => {
  it('is shown with what it waits for, and ends with who approved', async () => {
    const { world, vote, outcome } = await waiting('timeout: 1d');
    expect(timelineOf(await world.events())).toMatchObject([
      {
        status: 'waiting',
        waiting: 'waiting for approval by admin or designer until 2026-01-02T00:00:00.000Z: Deploy v1?',
      },
    ]);
    await vote(who('ann'), { ...approve, comment: 'Go.' });
    expect(await outcome()).toMatchObject({ approved: true, timedOut: false, by: 'token/ann', comment: 'Go.' });
  });

  it('that is rejected fails the step, or is its output', async () => {
    const failing = await waiting();
    await failing.vote(who('ann'), reject);
    expect(await failing.outcome()).toMatchObject({
      code: 'approval.rejected',
      message: 'token/ann rejected it: Not today.',
    });
    const going = await waiting('onReject: continue');
    await going.vote(who('ann'), reject);
    expect(await going.outcome()).toEqual({ approved: false, timedOut: false, by: 'token/ann', comment: 'Not today.' });
  });

  it('that nobody decides fails when its time is over, or goes on', async () => {
    for (const [fields, expected] of [
      ['timeout: 1h', { code: 'approval.timeout' }],
      ['timeout: 1h, onTimeout: continue', { approved: false, timedOut: true }],
    ] as const) {
      const { world, vote, outcome } = await waiting(fields);
      world.clock.advance(3_600_000 + 1);
      await expect(vote(who('ann'), approve)).rejects.toMatchObject({ code: 'approval.over' });
      expect(await outcome()).toMatchObject(expected);
    }
  });

  it('that came in time counts, also when the run looks later', async () => {
    const { world, vote, outcome } = await waiting('timeout: 1h');
    world.clock.advance(3_600_000);
    await vote(who('ann'), approve);
    world.clock.advance(3_600_000);
    expect(await outcome()).toMatchObject({ approved: true });
  });

  it('needs as many people as it says; each counts once, and one rejection is enough', async () => {
    const { vote, outcome, decided } = await waiting('count: 2');
    await vote(who('ann'), approve);
    await vote(who('ann'), approve);
    expect(await decided()).toHaveLength(0);
    await expect(vote(who('ann'), reject)).rejects.toMatchObject({ code: 'approval.voted' });
    await vote(who('bob'), approve);
    expect(await outcome()).toMatchObject({ approved: true, votes: [{ by: 'token/ann' }, { by: 'token/bob' }] });
    const other = await waiting('count: 2');
    await other.vote(who('ann'), reject);
    expect(await other.outcome()).toMatchObject({ code: 'approval.rejected' });
  });

  it('is decided once, whoever votes at the same time', async () => {
    const { vote, decided } = await waiting('count: 2');
    const names = ['ann', 'bob', 'cy', 'di', 'ed'];
    const votes = await Promise.allSettled(names.map((name) => vote(who(name), approve)));
    const kept = votes.filter(({ status }) => status === 'fulfilled');
    expect(kept).toHaveLength(2);
    expect(await decided()).toHaveLength(1);
    const refused = votes.flatMap((one) => (one.status === 'rejected' ? [one.reason as { code: string }] : []));
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(['approval.over']));
  });

  it('is for those whom it names: by role, or by the name of a token', async () => {
    const { vote, outcome } = await waiting('approvers: [integrator, bob]');
    await expect(vote(who('ann'), approve)).rejects.toMatchObject({ code: 'approval.not_approver' });
    await expect(vote({ ...who('bob'), orgId: 'org_other' }, approve)).rejects.toMatchObject({
      code: 'approval.not_found',
    });
    await vote(who('bob', ['auditor']), approve);
    expect(await outcome()).toMatchObject({ approved: true });
    const byName = await waiting('approvers: [bob]');
    await expect(byName.vote(who('root', ['admin']), approve)).rejects.toMatchObject({ code: 'approval.not_approver' });
    const byRole = await waiting('approvers: [integrator]');
    await byRole.vote(who('root', ['admin']), approve);
  });

  it('is not for whoever started the run, unless the step says so', async () => {
    const { world, vote } = await waiting();
    const [first] = await world.events();
    const self = { ...who('self'), actor: first!.metadata.actor };
    await expect(vote(self, approve)).rejects.toMatchObject({ code: 'approval.own_run' });
    const allowed = await waiting('selfApproval: true');
    await allowed.vote(self, approve);
    expect(await allowed.outcome()).toMatchObject({ approved: true });
  });

  it('checks the values of its form', async () => {
    const { vote, outcome } = await waiting('form: { slots: { type: number, required: true } }');
    await expect(vote(who('ann'), approve)).rejects.toMatchObject({
      code: 'approval.bad_form',
      problems: [{ pointer: '/form/slots', detail: 'Must be given: this input is required.' }],
    });
    await vote(who('ann'), { ...approve, form: { slots: 3 } });
    expect(await outcome()).toMatchObject({ form: { slots: 3 } });
  });

  it('of a step that asks for none, or asks no longer, is refused', async () => {
    const { world, vote, outcome } = await waiting();
    await expect(vote(who('ann'), approve, 'other')).rejects.toMatchObject({ code: 'approval.not_found' });
    await vote(who('ann'), approve);
    await outcome();
    expect((await world.run()).status).toBe('completed');
    await expect(vote(who('bob'), approve)).rejects.toMatchObject({ code: 'approval.over' });
  });
});

describe('an approval that is written wrongly', () => {
  it.each([
    ['count: 0', 'workflow.bad_value', '/steps/0/approval/count'],
    ['timeout: soon', 'workflow.bad_value', '/steps/0/approval/timeout'],
    ['form: { a: { type: date } }', 'workflow.bad_value', '/steps/0/approval/form/a/type'],
    ['aprovers: [admin]', 'workflow.unknown_key', '/steps/0/approval/aprovers'],
    ['description: "${{ nothing.x }}"', 'workflow.unknown_name', '/steps/0/approval/description'],
  ])('%s', (fields, code, pointer) => {
    const parsed = parseWorkflow(yaml(fields), testSteps);
    expect(parsed.ok ? [] : parsed.problems).toContainEqual(
      expect.objectContaining({ code, pointer, line: 4, column: expect.any(Number) }),
    );
  });
});
