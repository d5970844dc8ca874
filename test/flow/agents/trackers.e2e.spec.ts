import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { hmacSha256Hex } from '#libs/plugin-sdk/src/signatures.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { publishedAcrossDeath } from '../../support/answered.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { type DoubleIssue, TrackerDouble } from '../../support/doubles/tracker-double.js';
import { TestServer } from '../../support/server.js';

const SECRET = 'secret-of-the-webhook';
const KEY = Buffer.alloc(32, 11).toString('base64');

let database: TestDatabase;
let github: TrackerDouble;
let gitlab: TrackerDouble;
let server: TestServer;
let slug: string;

interface Listed {
  readonly id: string;
  readonly type: string;
  readonly data: Record<string, unknown> & { readonly error?: { readonly code: string } };
  readonly metadata: { readonly hop: number; readonly correlationId: string };
}

const start = (more: Readonly<Record<string, string>> = {}): Promise<TestServer> =>
  TestServer.start({
    databaseUrl: database.url,
    env: { MILLRACE_SECRET_KEY: KEY, MILLRACE_ACTION_RETRY_SCHEDULE: '50ms,100ms', ...more },
  });

beforeAll(async () => {
  database = await createTestDatabase();
  github = await TrackerDouble.start();
  gitlab = await TrackerDouble.start();
  server = await start();
  ({ slug } = await server.post<{ slug: string }>('/api/v1/integrations', {
    name: 'code',
    provider: 'github',
    secret: SECRET,
    config: { apiUrl: github.url, token: TrackerDouble.TOKEN, repository: 'acme/app' },
  }));
  await server.post('/api/v1/integrations', {
    name: 'lab',
    provider: 'gitlab',
    config: { apiUrl: gitlab.url, token: TrackerDouble.TOKEN, project: 'acme/app' },
  });
  await server.post('/api/v1/rules', {
    name: 'open an issue',
    eventType: 'webhook.received',
    conditions: { field: 'data.payload.open', operator: 'exists' },
    actions: [
      {
        type: 'create_issue',
        with: {
          tracker: '${{ data.payload.open }}',
          title: '${{ data.payload.title }}',
          body: 'Look at it.',
          labels: ['alert'],
          priority: 'high',
          assignee: 'ada',
          dedupeKey: '${{ data.payload.key }}',
        },
      },
    ],
  });
});
afterAll(async () => {
  await server?.stop();
  await github?.stop();
  await gitlab?.stop();
  await database?.drop();
});

const ask = (open: string, title: string, key: string | null = null) =>
  server.post<{ id: string }>('/api/v1/events', {
    type: 'webhook.received',
    source: 'tests',
    data: { provider: 'tests', payload: { open, title, key } },
  });

const outcome = (eventId: string) =>
  waitFor(
    'the outcome of the issue',
    async () => {
      for (const type of ['tracker.issue_opened', 'tracker.issue_commented', 'tracker.failed']) {
        const found = await server.list<Listed>(`/api/v1/events?type=${type}`);
        const ours = found.find(({ data }) => data['eventId'] === eventId);
        if (ours) return ours;
      }
      return undefined;
    },
    () => server.output,
  );

const titled = (double: TrackerDouble, title: string): readonly DoubleIssue[] =>
  double.issues.filter((issue) => issue.title === title);

describe.each(['code', 'lab'])('an issue in the tracker of the integration %s', (name) => {
  const double = () => (name === 'code' ? github : gitlab);

  it('is opened, with labels and an assignee', async () => {
    const opened = await outcome((await ask(name, 'DB latency')).id);
    expect(opened).toMatchObject({ type: 'tracker.issue_opened', data: { issue: { id: '1' } } });
    expect(titled(double(), 'DB latency')).toMatchObject([
      { labels: ['alert', 'priority: high'], assignees: [name === 'code' ? 'ada' : '7'] },
    ]);
  });

  it('gets a comment while the issue with the same key is open, and a new one when it is closed', async () => {
    const [first, second] = await Promise.all([ask(name, 'Disk full', 'disk'), ask(name, 'Disk full', 'disk')]);
    const types = [(await outcome(first.id)).type, (await outcome(second.id)).type];
    expect(types.sort()).toEqual(['tracker.issue_commented', 'tracker.issue_opened']);
    const [issue] = titled(double(), 'Disk full');
    expect(issue!.comments).toHaveLength(1);
    issue!.state = 'closed';
    expect((await outcome((await ask(name, 'Disk full', 'disk')).id)).type).toBe('tracker.issue_opened');
    expect(titled(double(), 'Disk full')).toHaveLength(2);
  });

  it('that is there gets a comment and labels, and is closed', async () => {
    await server.call('PUT', `/api/v1/workflows/close-in-${name}`, {
      source: [
        `name: close-in-${name}`,
        'triggers: [{ type: manual, inputs: { issue: { type: number } } }]',
        'steps:',
        '  - id: close',
        '    uses: create_issue',
        `    with: { tracker: ${name}, issue: '\${{ inputs.issue }}', title: Done, labels: [fixed], close: true }`,
        "outputs: { created: '${{ steps.close.output.created }}' }",
        '',
      ].join('\n'),
    });
    const close = async (issue: number) => {
      const { id } = await server.post<{ id: string }>(`/api/v1/workflows/close-in-${name}/runs`, {
        inputs: { issue },
      });
      return waitFor('the end of the run', async () => {
        const run = await server.get<{ status: string; outputs?: object; error?: { code: string } }>(
          `/api/v1/runs/${id}`,
        );
        return ['completed', 'failed'].includes(run.status) && run;
      });
    };
    expect(await close(1)).toMatchObject({ status: 'completed', outputs: { created: false } });
    const [issue] = titled(double(), 'DB latency');
    expect(issue).toMatchObject({ state: 'closed', labels: ['alert', 'priority: high', 'fixed'] });
    expect(issue!.comments.map(({ body }) => body.split('\n')[0])).toEqual(['Done']);
    expect(await close(4711)).toMatchObject({ status: 'failed', error: { code: 'tracker.unknown_issue' } });
  });

  it('is opened after a limit or a failure of the service, once', async () => {
    double().next.push({ status: 429, body: {}, headers: { 'retry-after': '1' } });
    expect((await outcome((await ask(name, 'After the limit')).id)).type).toBe('tracker.issue_opened');
    expect(titled(double(), 'After the limit')).toHaveLength(1);
  });

  it('says what is wrong where no retry helps', async () => {
    double().next.push({ status: 422, body: { message: 'Validation Failed' } });
    const failed = await outcome((await ask(name, 'Not like this')).id);
    expect(failed).toMatchObject({ type: 'tracker.failed', data: { error: { code: 'http.422' } } });
  });
});

it('an unknown tracker is named', async () => {
  const failed = await outcome((await ask('nobody', 'Nowhere')).id);
  expect(failed).toMatchObject({ type: 'tracker.failed', data: { error: { code: 'tracker.unknown_integration' } } });
});

it('an issue that was opened here follows from what led to it, when the tracker tells of it', async () => {
  await server.post('/api/v1/rules', {
    name: 'an issue for each issue',
    eventType: 'issue.created',
    eventSource: 'github',
    actions: [{ type: 'create_issue', with: { tracker: 'code', title: 'About ${{ data.issue.title }}' } }],
  });
  const tellOf = async (issue: DoubleIssue, delivery: string) => {
    const body = JSON.stringify({
      action: 'opened',
      issue: { id: 1000 + issue.number, number: issue.number, title: issue.title, body: issue.body, state: 'open' },
      repository: { id: 1, name: 'app', full_name: 'acme/app', owner: { login: 'acme' } },
      sender: { login: 'ada', id: 1 },
    });
    const answer = await fetch(`${server.url}/api/v1/webhooks/inbound/${slug}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-github-event': 'issues',
        'x-github-delivery': delivery,
        'x-hub-signature-256': `sha256=${hmacSha256Hex(SECRET, Buffer.from(body))}`,
      },
      body,
    });
    return ((await answer.json()) as { eventIds: string[] }).eventIds[0]!;
  };
  const event = (id: string) => server.get<Listed>(`/api/v1/events/${id}`);

  const byHand = { number: 900, title: 'By hand', body: 'Help!', labels: [], assignees: [], comments: [] };
  const first = await tellOf({ ...byHand, state: 'open' }, 'd-1');
  await outcome(first);
  const [ours] = titled(github, 'About By hand');
  // Its echo is of the same story, one cause further, and the rule that opened it does not act on it again.
  const echo = await tellOf(ours!, 'd-2');
  const { metadata } = await event(echo);
  expect(metadata).toMatchObject({ correlationId: first });
  expect(metadata.hop).toBeGreaterThan(0);
  const decision = await waitFor('the decision on the echo', async () => {
    const { data } = await server.get<{ data: { ruleName: string }[] }>(`/api/v1/events/${echo}/decisions`);
    return data.find(({ ruleName }) => ruleName === 'an issue for each issue');
  });
  expect(JSON.stringify(decision)).toContain('follows-from-itself');
  expect(titled(github, 'About About By hand')).toEqual([]);
  // A mark that somebody else wrote is no mark.
  const forged = `<!-- millrace:${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}:abcdef123456.AAAA -->`;
  const stranger = await tellOf({ ...byHand, body: forged, state: 'open' }, 'd-3');
  expect((await event(stranger)).metadata).toMatchObject({ correlationId: stranger, hop: 0 });
});

describe.each(['actions.tracker-begun', 'actions.tracker-sent', 'actions.tracker-recorded'])(
  'a process that dies at %s',
  (point) => {
    it('leaves one issue', async () => {
      await server.stop();
      server = await start({ MILLRACE_CRASH_AT: point });
      const published = await publishedAcrossDeath(server, () => start(), point, {
        type: 'webhook.received',
        source: 'tests',
        data: { provider: 'tests', payload: { open: 'code', title: `Once, in spite of ${point}`, key: point } },
      });
      server = published.server;
      expect((await outcome(published.id)).type).toBe('tracker.issue_opened');
      expect(titled(github, `Once, in spite of ${point}`)).toHaveLength(1);
    });
  },
);
