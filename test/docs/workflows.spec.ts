import { readdirSync, readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { StepError } from '#libs/plugin-sdk/src/define-step.js';
import { builtInSteps } from '#libs/steps/src/built-in.js';
import { parseWorkflow } from '#libs/workflows/src/language/reading/parse-workflow.js';
import { StepLibrary } from '#libs/workflows/src/steps/step-library.js';
import { runTests } from '#libs/workflows/src/trial/run-tests.js';

import type { WorldOptions } from '../../libs/workflows/testing/virtual-world.js';
import { VirtualWorld } from '../../libs/workflows/testing/virtual-world.js';
import { codesIn, errorCodes, FAILING, namedTypes, typesIn } from './workflow-errors.js';
import { tablesIn, workflowPages, workflowTables } from './workflow-tables.js';

const library = new StepLibrary(builtInSteps);
const text = workflowPages
  .map((page) => readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8'))
  .join('\n');
const examples = new Map(
  [...text.matchAll(/^```yaml\n(name: (\S+)\n.*?)^```$/gms)].map(([, yaml, name]) => [name!, yaml!]),
);

/** What the world answers to a request; a number is a status that fails the step. */
type Answer = (url: string, nth: number) => object | number;

async function played(name: string, answer: Answer, options: Partial<WorldOptions> = {}) {
  const asked: string[] = [];
  const world = new VirtualWorld({
    yaml: examples.get(name)!,
    library,
    makeAttempt: ({ input }) => {
      const { method = 'GET', url } = input as { method?: string; url: string };
      asked.push(`${method} ${url}`);
      const answered = answer(url, asked.length);
      if (typeof answered !== 'number') return Promise.resolve({ status: 200, headers: {}, body: answered });
      const output = { status: answered, headers: {}, body: null };
      return Promise.reject(
        new StepError({ message: `It answered ${answered}.`, code: 'http.status', retryable: answered >= 500, output }),
      );
    },
    ...options,
  });
  const events = await world.toTheEnd();
  const elapsed = world.clock.now().getTime() - Date.parse('2026-01-01T00:00:00.000Z');
  const outputs = events.find((event) => event.is('workflow.completed'))?.data;
  return { asked, elapsed, outputs: outputs?.['outputs'], status: (await world.run()).status };
}

/** Tables are aligned for people. */
const cells = (table: string): string[][] =>
  table.split('\n').map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim().replace(/^-+$/, '-')));

describe('the tables of the pages on workflows', () => {
  it.each(Object.entries(workflowTables()))('%s is as the kinds say; npm run docs writes it', (name, table) => {
    expect(cells(tablesIn(text)[name] ?? '')).toEqual(cells(table));
  });
});

describe('the codes of errors', () => {
  const sources = FAILING.flatMap((folder) =>
    readdirSync(new URL(`../../${folder}`, import.meta.url), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'))
      .map((name) => readFileSync(new URL(`../../${folder}/${name}`, import.meta.url), 'utf8')),
  );

  it('are in the table, with what to do: test/docs/workflow-errors.ts has a line for each', () => {
    const codes = [...new Set(sources.flatMap(codesIn))];
    expect(codes.length).toBeGreaterThan(20);
    expect(codes.filter((one) => !Object.hasOwn(errorCodes, one))).toEqual([]);
  });

  it('have the types that the sources name', () => {
    expect(Object.fromEntries(sources.flatMap(typesIn))).toEqual(namedTypes);
  });
});

describe('the examples of the pages on workflows', () => {
  it.each([...examples])('%s can be saved as it is', (_, yaml) => {
    expect(parseWorkflow(yaml, library)).toMatchObject({ ok: true });
  });

  it('hello says hello', async () => {
    const { outputs } = await played('hello', () => ({}), { inputs: { who: 'you' } });
    expect(outputs).toEqual({ said: 'Hello, you!' });
  });

  it('notify-deploy tells the deployment, also when it takes several tries', async () => {
    const data = { branch: 'main', commits: [{ message: 'one' }] };
    const { outputs, asked } = await played('notify-deploy', (_, nth) => (nth < 3 ? 503 : { id: 'd1' }), {
      event: { type: 'git.push', data },
    });
    expect(outputs).toEqual({ deployment: 'd1' });
    expect(asked).toHaveLength(3);
  });

  it('ask-for-a-fix waits for the fix, for a comment, or three days', async () => {
    const pullRequest = { number: 7 };
    const comes = (type: string, data: object) =>
      played('ask-for-a-fix', () => ({}), {
        event: { type: 'pr.opened', data: { pullRequest } },
        events: [{ after: 60_000, type, data }],
      });
    expect((await comes('pr.updated', { pullRequest })).outputs).toEqual({ fixed: true, ignored: false });
    const comment = { body: 'wontfix' };
    expect((await comes('comment.created', { pullRequest, comment })).outputs).toEqual({
      fixed: false,
      ignored: false,
    });
    const other = await comes('pr.updated', { pullRequest: { number: 8 } });
    expect(other).toMatchObject({ outputs: { fixed: false, ignored: true }, elapsed: 3 * 24 * 3_600_000 });
  });

  it('deploy-with-approval does nothing that nobody has approved', async () => {
    const unheard = await played('deploy-with-approval', () => ({}), { inputs: { version: 'v1' } });
    expect(unheard).toMatchObject({ asked: [], status: 'failed', elapsed: 24 * 3_600_000 });
  });

  it('tidy-up sees that a thing is gone, removes one that is there, and says what went wrong', async () => {
    const inputs = { id: '7' };
    const gone = await played('tidy-up', () => 410, { inputs });
    expect(gone.outputs).toEqual({ gone: true });
    const there = await played('tidy-up', () => ({ url: 'https://api.example.com/x' }), { inputs });
    expect(there.asked).toEqual(['GET https://api.example.com/things/7', 'DELETE https://api.example.com/x']);
    expect(there.outputs).toEqual({ gone: false });
    const trouble = await played('tidy-up', () => 500, { inputs });
    expect(trouble).toMatchObject({ status: 'completed', outputs: { gone: false } });
  });

  it('check-mirrors asks one after the other until one answers', async () => {
    const { asked, elapsed, outputs } = await played(
      'check-mirrors',
      (url) => (url.includes('b.example') ? { version: 3 } : 404),
      { inputs: { path: '/x' } },
    );
    expect(asked).toEqual(['GET https://a.example.com/x', 'GET https://b.example.com/x']);
    expect({ elapsed, outputs }).toEqual({ elapsed: 30_000, outputs: { found: true, version: 3 } });
  });

  it('nightly-report tells the chat when it fails', async () => {
    const { asked, status, elapsed } = await played('nightly-report', (url) => (url.includes('chat') ? {} : 503));
    expect({ status, elapsed }).toEqual({ status: 'failed', elapsed: 120_000 });
    expect(asked.at(-1)).toBe('POST https://chat.example.com/hooks/ops');
  });

  it('compare-prices goes on without a shop that does not answer', async () => {
    const { outputs } = await played('compare-prices', (url) => (url.includes('east') ? 404 : { price: 7 }));
    expect(outputs).toEqual({ lowest: 7 });
  });

  it('refund refuses an order that is not paid', async () => {
    const inputs = { order: '7' };
    const refused = await played('refund', () => ({ paid: false }), { inputs });
    expect(refused).toMatchObject({ status: 'failed', asked: ['GET https://shop.example.com/orders/7'] });
    expect((await played('refund', () => ({ paid: true }), { inputs })).asked).toHaveLength(2);
  });

  it('first-answer takes the answer that is there first', async () => {
    const fast = await played('first-answer', () => ({ price: 7 }));
    expect(fast).toMatchObject({ outputs: { winner: 0 }, elapsed: 0, asked: ['GET https://east.example.com/price'] });
    const other = await played('first-answer', (url) => (url.includes('east') ? 404 : { price: 7 }));
    expect(other).toMatchObject({ outputs: { winner: 1 }, elapsed: 5_000 });
  });

  it('what-steps-see sees the steps of its own pass, and after a switch those inside', async () => {
    const { outputs } = await played('what-steps-see', () => ({}));
    expect(outputs).toEqual({ labels: ['0: 2', '1: 4', '2: 6'], choice: 'many' });
  });

  it('release-as-steps deploys or refuses, as the graph does', async () => {
    const inputs = { version: '1.2' };
    const last = async (findings: number) => (await played('release-as-steps', () => ({ findings }), { inputs })).asked;
    expect((await last(0)).at(-1)).toBe('POST https://ci.example.com/deploy/1.2');
    expect(await last(3)).toHaveLength(2);
  });

  it('charge is not attempted again where the card is refused', async () => {
    const inputs = { order: '7' };
    expect((await played('charge', () => 503, { inputs })).asked).toHaveLength(6);
    expect((await played('charge', () => 402, { inputs })).asked).toHaveLength(1);
  });

  it('deploy-app passes the test beside it', () => {
    const tests = /^```yaml\n(tests:\n.*?)^```$/ms.exec(text)![1]!;
    expect(runTests(examples.get('deploy-app')!, tests, library)).toMatchObject({
      ok: true,
      results: [{ failures: [] }],
    });
  });

  it('wait-for-build asks every 30 seconds until the build is done', async () => {
    const answer: Answer = (_, nth) => ({ state: nth === 3 ? 'done' : 'running' });
    const { outputs, elapsed } = await played('wait-for-build', answer, { inputs: { build: '7' } });
    expect({ outputs, elapsed }).toEqual({ outputs: { asked: 3 }, elapsed: 60_000 });
  });

  it('migrate-in-maintenance opens the application again, whatever became of the migration', async () => {
    const { asked, status } = await played('migrate-in-maintenance', (url) => (url.includes('db.') ? 409 : {}));
    expect(status).toBe('failed');
    expect(asked).toEqual([
      'PUT https://app.example.com/maintenance',
      'POST https://db.example.com/migrations',
      'DELETE https://app.example.com/maintenance',
    ]);
  });

  it('report-outage opens an issue, and tells others about a new one', async () => {
    const issue = { title: 'db is down', state: 'open', labels: [], assignees: [] };
    const attempt = { deliveryId: 'del_1', eventId: 'e', eventType: 't', attempt: 1, latencyMs: 1 };
    const respond: WorldOptions['respond'] = ({ type }) => {
      if (type === 'issue.requested') return { type: 'issue.created', data: { issueId: 'iss_1', issue } };
      return type === 'webhook.requested'
        ? { type: 'webhook.delivered', data: { ...attempt, status: 200 } }
        : undefined;
    };
    const event = { type: 'webhook.exhausted', data: { deliveryId: 'del_0', webhookId: 'whk_1', attempts: 6 } };
    const { outputs } = await played('report-outage', () => ({}), { respond, event });
    expect(outputs).toEqual({ issue: 'iss_1', told: true });
  });

  it('release runs what leads to a step before it, and what is independent at the same time', async () => {
    const inputs = { version: '1.2' };
    const answer =
      (findings: number): Answer =>
      () => ({ findings });
    const clean = await played('release', answer(0), { inputs });
    expect(clean.asked.map((url) => url.split('/')[3])).toEqual(['test', 'scan', 'deploy']);
    expect(clean.outputs).toEqual({ deployed: true });
  });

  it('release-train has the outputs of the workflow that it starts', async () => {
    const ofRun = { runId: 'run_2', workflowId: 'wf_2', workflow: 'deploy', startedAt: '2026-01-01T00:00:00.000Z' };
    const { outputs } = await played('release-train', () => ({}), {
      respond: ({ type }) =>
        type === 'workflow.requested'
          ? { type: 'workflow.completed', data: { ...ofRun, outputs: { url: 'https://x' } } }
          : undefined,
    });
    expect(outputs).toEqual({ url: 'https://x' });
  });
});
