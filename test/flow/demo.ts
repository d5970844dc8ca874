import { createHmac } from 'node:crypto';

import { githubPayload, githubPush, githubRequest, send } from '../support/github.js';
import { Receiver } from '../support/receiver.js';
import { TestServer, waitFor } from '../support/server.js';

/**
 * `npm run demo`: starts a server on a free port and a scratch folder, sends it what GitHub, GitLab and Slack send, and
 * shows each going through event, rule, workflow, delivery, failure and retry, with a schedule of fractions of a second.
 */
const say = (text = '') => console.log(text);
const paint = (code: number) => (text: string) => (process.stdout.isTTY ? `\u001b[${code}m${text}\u001b[0m` : text);
const [bold, dim, green, red, cyan] = [paint(1), paint(2), paint(32), paint(31), paint(36)] as const;

interface Listed {
  readonly id: string;
}
interface Node {
  readonly type: string;
  readonly subject: string;
  readonly children: readonly Node[];
}
interface Delivery {
  readonly id: string;
  readonly eventId: string;
  readonly status: string;
  readonly attempts: number;
}

const SECRET = 'demo-secret-0123456789';

/** Payloads in the shape of their senders' own documentation. GitLab and Slack come in through generic integrations. */
const gitlabPush = {
  object_kind: 'push',
  event_name: 'push',
  ref: 'refs/heads/main',
  checkout_sha: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7',
  user_username: 'grace',
  project: { id: 15, path_with_namespace: 'acme/race', web_url: 'https://gitlab.example.com/acme/race' },
  commits: [{ id: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7', message: 'Mend the sluice', author: { name: 'Grace' } }],
  total_commits_count: 1,
};
const slackMessage = {
  type: 'event_callback',
  team_id: 'T0ACME',
  event_id: 'Ev0DEMO1',
  event: { type: 'message', channel: 'C0OPS', user: 'U0ADA', text: 'the wheel stands still', ts: '1700000000.000100' },
};

const receiver = await Receiver.start((nth) => (nth <= 2 ? 500 : 200));
say(bold('Millrace demo'));
say(dim('starting a server on a free port, with its data in a scratch folder …'));
const server = await TestServer.start({ env: { MILLRACE_RETRY_SCHEDULE: '300ms,600ms,1s', LOG_LEVEL: 'warn' } });
let ok = true;
try {
  say(`${green('ready')} at ${server.url}`);
  const webhook = await server.post<Listed>('/api/v1/outbound-webhooks', {
    url: `${receiver.url}/hook`,
    events: ['release.published'],
  });
  await server.post('/api/v1/rules', {
    name: 'anything that was pushed or said',
    enabled: true,
    eventSource: '*',
    eventType: '*',
    conditions: { field: 'data.payload', operator: 'exists' },
    actions: [
      { type: 'send_webhook', with: { webhook: webhook.id } },
      { type: 'create_issue', with: { title: 'look at ${{ type }} from ${{ source }}' } },
    ],
  });

  const senders = [
    { name: 'GitHub push', provider: 'github', event: 'push', payload: githubPush() },
    {
      name: 'GitHub pull request',
      provider: 'github',
      event: 'pull_request',
      payload: githubPayload('pull_request', 0),
    },
    { name: 'GitLab push', provider: 'generic_webhook', event: 'Push Hook', payload: gitlabPush },
    { name: 'Slack message', provider: 'generic_webhook', event: 'message', payload: slackMessage },
  ] as const;
  for (const sender of senders) {
    say(`\n${bold(sender.name)}`);
    const { slug } = await server.post<{ slug: string }>('/api/v1/integrations', {
      name: sender.name,
      provider: sender.provider,
      secret: SECRET,
    });
    const url = `${server.url}/api/v1/webhooks/inbound/${slug}`;
    const request =
      sender.provider === 'github'
        ? githubRequest(sender.event, sender.payload, SECRET)
        : genericRequest(sender.event, sender.payload);
    const answer = await send(url, request);
    const { eventIds } = (await answer.json()) as { eventIds: string[] };
    const eventId = eventIds[0]!;
    say(`  ${cyan('received')}   ${answer.status}, ${request.body.length} bytes, signature valid`);
    const again = (await (await send(url, request)).json()) as { duplicate: boolean };
    say(`  ${cyan('repeated')}   ${again.duplicate ? 'recognised, no second event' : red('NOT recognised')}`);
    const event = await server.get<{ type: string; source: string; subject: string }>(`/api/v1/events/${eventId}`);
    say(`  ${cyan('event')}      ${event.type} from ${event.source}, ${event.subject}, ${dim(eventId)}`);

    const delivery = await waitFor(
      'the delivery to succeed',
      async () =>
        (await server.list<Delivery>(`/api/v1/outbound-webhooks/${webhook.id}/deliveries?status=success`)).find(
          (one) => one.eventId === eventId,
        ),
      30_000,
      () => server.output,
    );
    const { data: decisions } = await server.get<{ data: { ruleName: string; outcome: string }[] }>(
      `/api/v1/events/${eventId}/decisions`,
    );
    for (const { ruleName, outcome } of decisions) say(`  ${cyan('decision')}   rule "${ruleName}": ${outcome}`);
    for (const [index, call] of receiver.calls.filter((one) => idOf(one.body) === eventId).entries())
      say(
        `  ${cyan('attempt')}  ${index + 1}  answered ${call.status < 300 ? green(String(call.status)) : red(String(call.status))}` +
          (call.status < 300 ? '' : dim('  → webhook.failed → workflow retry-failed-webhooks')),
      );
    say(`  ${cyan('delivery')}   ${green(delivery.status)} after ${delivery.attempts} attempts, ${dim(delivery.id)}`);
    ok &&= again.duplicate && delivery.attempts === 3 && decisions.length === 1;
    if (sender === senders[0]) {
      say(`  ${cyan('trace')}`);
      const trace = await server.get<{ root: Node }>(`/api/v1/events/${eventId}/trace`);
      draw(trace.root, '             ');
    }
  }
  const issues = await server.list<{ title: string }>('/api/v1/issues');
  say(`\n${bold('issues opened by the rule')}: ${issues.length}`);
  ok &&= issues.length === senders.length;
  for (const { title } of issues) say(`  ${title}`);
} finally {
  await server.stop();
  await receiver.stop();
}
say(ok ? `\n${green('Everything arrived, once.')}` : `\n${red('Something did not go as it should; see above.')}`);
process.exitCode = ok ? 0 : 1;

function draw(node: Node, indent: string): void {
  say(`${indent}${node.type} ${dim(node.subject)}`);
  for (const child of node.children) draw(child, `${indent}  `);
}

function idOf(body: Buffer): string {
  return (JSON.parse(body.toString()) as Listed).id;
}

function genericRequest(event: string, payload: object) {
  const body = JSON.stringify(payload);
  const deliveryId = `demo-${event}`;
  return {
    body,
    deliveryId,
    headers: {
      'content-type': 'application/json',
      'x-event-type': event,
      'idempotency-key': deliveryId,
      'x-webhook-signature': `sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`,
    },
  };
}
