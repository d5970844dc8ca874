import { describe, expect, it } from '@jest/globals';

import { Keyring } from '#libs/access/src/secrets/keyring.js';
import { SignedLinks } from '#libs/access/src/secrets/signed-links.js';

import { VirtualWorld } from '../../testing/virtual-world.js';
import { testSteps } from '../../testing/library.js';
import { parseWorkflow } from '../language/reading/parse-workflow.js';
import { decide } from '../engine/decide.js';
import { startRun } from '../engine/start-run.js';
import { cancelRun } from '../run/commands/cancel-run.js';
import { ApprovalLinks, type NamedTokens, signedLink } from './approval-links.js';
import { decideApproval } from './decide-approval.js';

const DAY = 86_400_000;
const signed = new SignedLinks(new Keyring([Buffer.alloc(32, 1)]), 'https://millrace.example.com');
const foreign = new SignedLinks(new Keyring([Buffer.alloc(32, 2)]), 'https://millrace.example.com');
const ANN = { id: 'tok_ann', name: 'ann', roles: [] as const, expiresAt: undefined };

const yaml = (fields: string, links = true) => `
name: deploy
steps:
  - { id: ok, approval: { title: 'Deploy <b>v1</b>?', links: ${links}, ${fields} } }
outputs: { by: '\${{ steps.ok.output.by }}', form: '\${{ steps.ok.output.form }}' }
`;

async function asked(
  fields = 'approvers: [ann, bob]',
  tokens: ReturnType<NamedTokens['list']> = [ANN],
  hasLinks = true,
) {
  const world = new VirtualWorld({ yaml: yaml(fields, hasLinks), signLink: signedLink(signed) });
  await world.begin();
  await world.goOn();
  const known = { list: (orgId: string) => (orgId === world.orgId ? tokens : []) };
  const links = new ApprovalLinks(signed, world.memory, known, () => world.clock.now());
  const requested = (await world.events()).find((event) => event.is('approval.requested'));
  const { links: urls = [], requestId } = requested?.is('approval.requested') ? requested.data : { requestId: '' };
  const linkOf = (url: string): string => url.replace('https://millrace.example.com/links/', '');
  const pair = (approver?: string) => {
    const found = urls.find((one) => one.approver === approver)!;
    return { approve: linkOf(found.approve), reject: linkOf(found.reject) };
  };
  return {
    world,
    links,
    urls,
    requestId,
    pair,
    votes: async () =>
      (await world.memory.readAll({ from: 0n, filter: { types: ['approval.voted'] }, limit: 10 })).events,
    async outcome() {
      await world.goOn();
      const last = (await world.events()).findLast((event) => event.is('workflow.completed', 'workflow.failed'));
      if (last?.is('workflow.completed')) return last.data.outputs;
      return last?.is('workflow.failed') ? last.data.error : undefined;
    },
  };
}

describe('links to an approval', () => {
  it('are left to a worker, which can sign, by whoever starts the run', () => {
    const parsed = parseWorkflow(yaml('approvers: [ann]'), testSteps);
    if (!parsed.ok) throw new Error('the workflow does not parse');
    const { definition } = parsed;
    const trigger = { kind: 'manual' as const, index: 0 };
    const now = new Date('2026-01-01T00:00:00Z');
    const { run } = startRun(
      {
        runId: 'run_1',
        workflowId: 'wf_1',
        workflow: 'deploy',
        version: 'v1',
        trigger,
        inputs: {},
        settings: { retrySchedule: [] },
        hop: 0,
      },
      now,
    );
    const world = { definition, event: undefined, now, outcomes: new Map(), attempting: 'leave' as const };
    expect(decide(run, world)).toMatchObject({ drafts: [], isUnfinished: true, run: { ended: false } });
  });

  it('are made for each approver that is named, and for nobody unless the step says so', async () => {
    expect((await asked()).urls.map(({ approver }) => approver)).toEqual(['ann', 'bob']);
    expect((await asked('selfApproval: true')).urls).toEqual([
      { approve: expect.stringMatching(/^https:\/\/millrace\.example\.com\/links\//), reject: expect.any(String) },
    ]);
    expect((await asked('approvers: [ann]', [ANN], false)).urls).toEqual([]);
  });

  it('of a role are refused when the workflow is saved, unless the person who started the run may decide', () => {
    const parsed = parseWorkflow(yaml('approvers: [ann, admin]'), testSteps);
    expect(parsed.ok ? [] : parsed.problems).toMatchObject([
      { code: 'workflow.bad_value', pointer: '/steps/0/approval/links', line: 4 },
    ]);
    expect(parseWorkflow(yaml('approvers: [ann, admin], selfApproval: true'), testSteps)).toMatchObject({ ok: true });
  });

  it('show a page with a button when they are opened, and decide nothing', async () => {
    const { links, pair, votes, outcome } = await asked();
    const { status, html } = await links.show(pair('ann').approve);
    expect(status).toBe(200);
    expect(html).toContain('<form method="post">');
    expect(html).toContain('<button>Approve</button>');
    expect(html).toContain('Deploy &lt;b&gt;v1&lt;/b&gt;?');
    expect(html).toContain('<dd>ann</dd>');
    expect(await votes()).toHaveLength(0);
    expect(await outcome()).toBeUndefined();
  });

  it('decide by the button, as the token whose name they bear, once', async () => {
    const { links, pair, votes, outcome } = await asked();
    expect(await links.decide(pair('ann').approve, { comment: ' Go. ' })).toMatchObject({ status: 200 });
    expect((await votes()).map(({ data }) => data)).toMatchObject([
      { decision: 'approve', by: 'token/tok_ann', via: 'link', comment: 'Go.' },
    ]);
    expect(await outcome()).toEqual({ by: 'token/tok_ann', form: null });
    // Sent again, opened again, and the other one of the pair
    for (const again of [
      await links.decide(pair('ann').approve, {}),
      await links.show(pair('ann').approve),
      await links.decide(pair('ann').reject, {}),
    ]) {
      expect(again.status).toBe(410);
      expect(again.html).toContain('This link was used');
    }
    expect(await votes()).toHaveLength(1);
  });

  it('record one vote, however often the button is pressed at the same time', async () => {
    const { links, pair, votes } = await asked();
    const answers = await Promise.all(Array.from({ length: 5 }, () => links.decide(pair('ann').approve, {})));
    expect(answers.map(({ status }) => status).every((status) => status === 200 || status === 410)).toBe(true);
    expect(await votes()).toHaveLength(1);
  });

  it('give a person no second vote beside the one with the token', async () => {
    const { world, links, pair, votes } = await asked('approvers: [ann, bob], count: 2');
    const run = { runId: world.runId, path: 'ok' };
    const ann = { orgId: world.orgId, actor: 'token/tok_ann', roles: [], name: 'ann' };
    await decideApproval(world.memory, run, ann, { decision: 'approve' }, () => world.clock.now());
    expect((await links.decide(pair('ann').approve, {})).html).toContain('This link was used');
    expect(await votes()).toHaveLength(1);
  });

  it('reject too', async () => {
    const { links, pair, outcome } = await asked();
    expect((await links.show(pair('ann').reject)).html).toContain('<button>Reject</button>');
    await links.decide(pair('ann').reject, { comment: 'Not today.' });
    expect(await outcome()).toMatchObject({
      code: 'approval.rejected',
      message: 'token/tok_ann rejected it: Not today.',
    });
  });

  it('ask for the values of the form, and say which are wrong', async () => {
    const form =
      'form: { slots: { type: number, required: true }, urgent: { type: boolean, default: true }, zone: { type: select, options: [1, b] } }';
    const { links, pair, outcome } = await asked(`approvers: [ann], ${form}`);
    const { html } = await links.show(pair('ann').approve);
    expect(html).toContain('<label for="form.slots">slots (required)</label>');
    expect((await links.show(pair('ann').reject)).html).not.toContain('form.slots');
    const wrong = await links.decide(pair('ann').approve, { 'form.slots': 'many', 'form.zone': 'b' });
    const odd = await links.decide(pair('ann').approve, { comment: '"><script>', 'form.zone': '"><script>' });
    expect(odd.html).not.toContain('<script>');
    expect(odd.html).toContain('slots: Must be given: this input is required.');
    expect(wrong.status).toBe(422);
    expect(html).toContain(' checked> urgent');
    expect(wrong.html).not.toContain(' checked> urgent');
    expect(wrong.html).toContain('role="alert"');
    expect(wrong.html).toContain('slots: Must be a number.');
    expect(
      await links.decide(pair('ann').approve, { 'form.slots': '3', 'form.urgent': 'on', 'form.zone': '1' }),
    ).toMatchObject({ status: 200 });
    expect(await outcome()).toEqual({ by: 'token/tok_ann', form: { slots: 3, urgent: true, zone: 1 } });
  });

  it('expire with the approval, and after 30 days in any case', async () => {
    const { world, links, pair } = await asked('approvers: [ann], timeout: 1d');
    world.clock.advance(DAY + 1);
    expect(await links.show(pair('ann').approve)).toMatchObject({
      status: 410,
      html: expect.stringContaining('This link has expired'),
    });
    const endless = await asked('approvers: [ann]');
    endless.world.clock.advance(30 * DAY);
    expect((await endless.links.show(endless.pair('ann').approve)).status).toBe(200);
    endless.world.clock.advance(1);
    const late = await endless.links.decide(endless.pair('ann').approve, {});
    expect(late).toMatchObject({ status: 410, html: expect.stringContaining('millrace run approve') });
    expect(await endless.votes()).toHaveLength(0);
  });

  it('end with the run', async () => {
    const { world, links, pair } = await asked();
    await cancelRun(
      world.memory,
      { runId: world.runId, orgId: world.orgId, by: 'token/me' },
      () => world.clock.now(),
      () => Promise.resolve(world.definition),
    );
    expect((await links.decide(pair('ann').approve, {})).html).toContain('Nothing to decide');
  });

  it('end with the token in whose name they decide', async () => {
    const { links, pair } = await asked('approvers: [ann]', []);
    expect(await links.decide(pair('ann').approve, {})).toMatchObject({
      status: 403,
      html: expect.stringContaining('revoked'),
    });
  });

  it('that nobody here has signed, or that are for something else, do nothing', async () => {
    const { world, links, requestId, pair, votes } = await asked();
    const claims = { d: 'approve', r: world.runId, p: 'ok', q: requestId, e: Date.parse('2027-01-01'), a: 'ann' };
    const forged = [foreign.url(claims), `x${pair('ann').approve}`, signed.url({ ...claims, d: 'sign' })];
    for (const link of forged)
      expect(await links.decide(link.replace(/^.*\/links\//, ''), {})).toMatchObject({
        status: 404,
        html: expect.stringContaining('This link is invalid'),
      });
    const other = signed.url({ ...claims, q: '0194b3d0-8f6a-5b7e-9c51-0d4f2f1a7c11' }).replace(/^.*\/links\//, '');
    expect(await links.decide(other, {})).toMatchObject({ status: 410 });
    expect(await votes()).toHaveLength(0);
  });
});
