import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { DEFAULT_ORG, ENGINE } from '#libs/events/src/envelope.js';
import { derivedId } from '#libs/kernel/src/ids.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';
import { workflowIdOf } from '#libs/workflows/src/workflow/workflow.js';

import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { type Fill, fillTables } from '../../support/fill-tables.js';
import { PlanLog, type Statement } from '../../support/plan-log.js';
import { Receiver } from '../../support/receiver.js';
import { TestServer } from '../../support/server.js';

/**
 * No statement's cost grows with the tables. Every table that grows has {@link ROWS} rows, and a real server is used: PostgreSQL
 * reports of each statement how many rows it looked at. A new route is a new row of {@link LISTS}.
 */
const ROWS = 20_000;
/** Most rows that a statement may look at: some pages of a list, or what one search looks through at a time. */
const MOST = 2_000;

/** What reads a whole table by its nature: the gauge of pending work, which is counted when somebody asks for the metrics. */
const WHOLE = [/from views\.work group by queue, state/];

const WEBHOOK = derivedId('whk', 'growth');
const RULE = derivedId('rul', 'growth');
const WORKFLOW = workflowIdOf(DEFAULT_ORG, 'growth');
const AGENT = derivedId('agt', 'growth');
const ISSUE = derivedId('iss', 'growth');

/** What a search by a column finds: 1 in 100 rows, or the given share. */
const oneIn = (every: number, rare: string, usual: string): string =>
  `case when n % ${every} = 0 then ${rare} else ${usual} end`;
const LOGGED = { source: ENGINE, subject: '', orgId: 'x', timestamp: '2026-01-01T00:00:00Z', actor: ENGINE };
const METADATA = JSON.stringify({ ...LOGGED, $correlationId: 'x', hop: 0, schemaVersion: 1 });

const FILL: Fill = {
  'log.events': { stream: `'filler-' || n`, revision: '0', type: `'filler.made'`, metadata: `'${METADATA}'::bytea` },
  'views.events': {
    type: `(array['webhook.received', 'rule.evaluated', 'webhook.delivered', 'git.push'])[1 + n % 4]`,
    source: oneIn(5_000, `'rare'`, `'github'`),
    subject: `'repository/acme/' || n`,
    correlation: `md5('story' || n / 5)::uuid`,
  },
  'views.deliveries': {
    status: oneIn(10_000, `'failed'`, `'success'`),
    webhook_id: oneIn(100, `'${WEBHOOK}'`, `'whk-' || n % 100`),
    event_type: oneIn(10_000, `'rare.one'`, `'git.push'`),
    kind: `'subscription'`,
  },
  'views.webhooks': { status: `'active'`, events: `'["git.push"]'` },
  'views.webhook_health': {},
  'views.rules': { status: `'archived'` },
  'views.decisions': { rule_id: oneIn(100, `'${RULE}'`, `'rul-' || n % 100`), outcome: `'matched'`, actions: `'[]'` },
  'views.event_verdicts': { roll_id: 'n % 100', failed: `'[]'` },
  'views.runs': {
    workflow_id: oneIn(100, `'${WORKFLOW}'`, `'wf-' || n % 100`),
    workflow: oneIn(100, `'growth'`, `'w-' || n % 100`),
    status: oneIn(10_000, `'failed'`, `'completed'`),
    trigger: `'event'`,
    trigger_index: '0',
    event_id: `'evt-' || n`,
  },
  'views.subject_keys': {},
  'views.run_requests': {},
  'views.run_children': {},
  'views.trigger_decisions': {
    workflow_id: oneIn(100, `'${WORKFLOW}'`, `'wf-' || n % 100`),
    workflow: oneIn(100, `'growth'`, `'w-' || n % 100`),
    outcome: `'not_matched'`,
  },
  'views.approvals': { status: `'approved'`, form: `'[]'`, approvers: `'[]'` },
  'views.work': {
    queue: `(array['deliveries.attempts', 'workflows.timers'])[1 + n % 2]`,
    state: `'sleeping'`,
    due_at: `now() + interval '1 year'`,
  },
  'views.issues': { id: `'iss-' || n`, status: oneIn(10_000, `'open'`, `'closed'`), labels: `'[]'` },
  'views.issue_comments': { issue_id: oneIn(100, `'${ISSUE}'`, `'iss-' || n`) },
  'views.agent_executions': {
    agent_id: oneIn(100, `'${AGENT}'`, `'agt-' || n % 100`),
    status: `'finished'`,
    trigger: `'event'`,
  },
  'views.pending_actions': { type: `'issue.requested'` },
  'views.workflows': { status: `'active'`, name: `case when n = 1 then 'growth' else 'w' || n end` },
  'views.workflow_versions': {},
  'views.messages': { status: oneIn(10_000, `'failed'`, `'sent'`) },
  'views.replays': { status: `'completed'`, request: `'{"from":"1","to":"2"}'` },
};

const EVENT = 'evt_00000000000000000000000001';
/** Every list, and what it can be asked for. */
const LISTS = [
  '/api/v1/events?limit=200',
  '/api/v1/events?type=git.push',
  '/api/v1/events?type=git.*&order=asc',
  '/api/v1/events?type=absent.type',
  '/api/v1/events?type=absent.*',
  '/api/v1/events?source=rare',
  '/api/v1/events?source=absent',
  '/api/v1/events?subject=repository/acme/77',
  '/api/v1/events?subject=absent',
  `/api/v1/events?correlation=${EVENT}`,
  `/api/v1/events?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z`,
  `/api/v1/events/${EVENT}/trace`,
  `/api/v1/events/${EVENT}/decisions`,
  '/api/v1/event-types',
  '/api/v1/deliveries',
  '/api/v1/deliveries?status=failed',
  '/api/v1/deliveries?status=pending',
  '/api/v1/deliveries?type=rare.one',
  `/api/v1/deliveries?eventId=${EVENT}`,
  `/api/v1/deliveries?webhookId=${WEBHOOK}`,
  `/api/v1/outbound-webhooks/${WEBHOOK}/deliveries?status=failed`,
  `/api/v1/outbound-webhooks/${WEBHOOK}/deliveries?status=success`,
  '/api/v1/outbound-webhooks?limit=200',
  '/api/v1/rules?limit=200',
  '/api/v1/runs',
  '/api/v1/runs?status=failed',
  '/api/v1/runs?status=waiting',
  '/api/v1/runs?trigger=manual',
  '/api/v1/runs?workflow=growth',
  '/api/v1/runs?workflow=growth&status=failed',
  `/api/v1/runs?eventId=${EVENT}`,
  '/api/v1/workflows/growth/decisions',
  '/api/v1/workflows/growth/decisions?outcome=started',
  '/api/v1/workflows/growth/decisions?outcome=skipped',
  '/api/v1/workflows/growth/decisions?outcome=not_matched',
  '/api/v1/approvals',
  '/api/v1/approvals?status=waiting',
  '/api/v1/issues',
  '/api/v1/issues?status=open',
  '/api/v1/issues?status=in_progress',
  '/api/v1/agents',
  '/api/v1/actions?status=pending',
  '/api/v1/run-retries',
  '/api/v1/messages',
  '/api/v1/messages?status=failed',
  '/api/v1/replays',
  '/api/v1/subjects',
  '/api/v1/event-views',
  '/api/v1/integrations',
  '/api/v1/workflows',
  '/api/v1/organisations',
  '/api/v1/secrets',
  '/api/v1/tokens',
  '/api/v1/subscribers',
  '/api/v1/subscribers/audit.events/parked',
  '/readyz',
  '/metrics',
];

describe('with large tables', () => {
  let database: TestDatabase;
  let plans: PlanLog;
  let server: TestServer;
  let receiver: Receiver;

  beforeAll(async () => {
    database = await createTestDatabase();
    await fillTables(database.url, FILL, ROWS);
    plans = await PlanLog.inFrontOf(database.url);
    receiver = await Receiver.start();
    server = await TestServer.start({
      databaseUrl: plans.url,
      env: { MILLRACE_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), LOG_LEVEL: 'warn' },
    });
  }, 120_000);
  afterAll(async () => {
    await server.stop();
    await receiver.stop();
    await plans.stop();
    await database.drop();
  });

  const large = (statements: readonly Statement[]): readonly Statement[] =>
    statements.filter(({ text, touched }) => touched > MOST && !WHOLE.some((known) => known.test(text)));

  it('the server starts', () => {
    const seen = plans.take();
    expect(seen.length).toBeGreaterThan(10);
    expect(large(seen)).toEqual([]);
  });

  it('a webhook becomes a decision, a delivery and a run', async () => {
    const { url } = await server.post<{ url: string }>('/api/v1/integrations', {
      name: 'hook',
      provider: 'generic_webhook',
    });
    const target = { url: `${receiver.url}/hook`, events: ['webhook.received'] };
    const { id: webhook } = await server.post<{ id: string }>('/api/v1/outbound-webhooks', target);
    const { id: rule } = await server.post<{ id: string }>('/api/v1/rules', {
      name: 'pass on',
      eventType: 'webhook.received',
      conditions: { field: 'data.payload.a', operator: 'equals', value: 1 },
      actions: [
        { type: 'send_webhook', with: { webhook } },
        { type: 'create_issue', with: { title: 'seen' } },
      ],
    });
    for (let n = 0; n < 5; n++) {
      const body = JSON.stringify({ a: 1, n });
      const answer = await fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
      expect(answer.status).toBe(202);
    }
    await waitFor('the deliveries', () => receiver.calls.length >= 10);
    await waitFor('their outcomes', async () => {
      const { data } = await server.get<{ data: object[] }>('/api/v1/deliveries?status=pending');
      return data.length === 0;
    });
    for (const path of [`/api/v1/rules/${rule}/decisions`, `/api/v1/rules/${rule}/decisions?outcome=not_matched`])
      await server.get(path);
    expect(large(plans.take())).toEqual([]);
  });

  it('every list of the API is measured', async () => {
    const { paths } = await server.get<{ paths: Record<string, { get?: { parameters?: { name: string }[] } }> }>(
      '/api/v1/openapi.json',
    );
    const lists = Object.entries(paths)
      .filter(([path, { get }]) => /^\/api\/[^{]*$/.test(path) && get?.parameters?.some(({ name }) => name === 'limit'))
      .map(([path]) => path);
    expect(lists.length).toBeGreaterThan(10);
    const measured = new Set(LISTS.map((path) => path.split('?', 1)[0]));
    expect(lists.filter((path) => !measured.has(path))).toEqual([]);
  });

  describe('a list looks at few rows', () => {
    beforeEach(() => void plans.take());

    it.each(LISTS)('GET %s', async (path) => {
      const answer = await server.text(path).catch((error: unknown) => String(error));
      // What is named by an id need not be there.
      expect(answer).not.toMatch(/_/.test(path) ? /^Error: .* answered (?!404)/ : /^Error: /);
      expect(large(plans.take())).toEqual([]);
    });
  });
});
