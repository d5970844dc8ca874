import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { OpenIdStandIn } from '../../support/openid.js';
import { Receiver } from '../../support/receiver.js';
import { TestServer } from '../../support/server.js';
import { answerIssue, type TraceNode } from './demo-agent.js';
import { type Sender, senders } from './demo-senders.js';

/**
 * `npm run demo`: starts a server on a free port and a scratch folder, sends it what every kind of sender sends, and shows
 * each going through event, rule, workflow, delivery, failure and retry, with a schedule of fractions of a second.
 */
const say = (text = '') => console.log(text);
const paint = (code: number) => (text: string) => (process.stdout.isTTY ? `\u001b[${code}m${text}\u001b[0m` : text);
const [bold, dim, green, red, cyan] = [paint(1), paint(2), paint(32), paint(31), paint(36)] as const;
const INDENT = ' '.repeat(13);
const tell = (what: string, text: string) => say(`  ${cyan(what.padEnd(9))}  ${text}`);

interface Listed {
  readonly id: string;
}
interface Delivery extends Listed {
  readonly eventId: string;
  readonly attempts: number;
}

/** What has to be in the story of every event, or it did not go the whole way. */
const STORY = ['rule.evaluated', 'webhook.requested', 'webhook.failed', 'workflow.started', 'webhook.delivered'];

const receiver = await Receiver.start((nth) => (nth <= 2 ? 500 : 200));
const openId = await OpenIdStandIn.start();
say(bold('Millrace demo'));
say(dim('starting a server on a free port, with its data in a scratch folder …'));
const server = await TestServer.start({ env: { MILLRACE_RETRY_SCHEDULE: '150ms,300ms,1s', LOG_LEVEL: 'warn' } });
const wrong: string[] = [];
try {
  say(`${green('ready')} at ${server.url}`);
  const webhook = await server.post<Listed>('/api/v1/outbound-webhooks', {
    url: `${receiver.url}/hook`,
    events: ['release.published'],
  });
  const rule = await server.post<Listed>('/api/v1/rules', {
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
  const all = senders(openId);
  for (const sender of all) await follow(sender, webhook.id, sender === all[0]);
  const issues = await server.list<{ title: string }>('/api/v1/issues');
  say(`\n${bold('issues opened by the rule')}: ${issues.length}`);
  for (const { title } of issues) say(`  ${title}`);
  say(`\n${bold('an agent answers an issue')}`);
  // This story is of other rules.
  await server.call('PATCH', `/api/v1/rules/${rule.id}`, { enabled: false });
  wrong.push(...(await answerIssue(server, tell, (root) => draw(root, INDENT))));
  if (issues.length !== all.length) wrong.push(`${issues.length} issues in place of ${all.length}`);
} catch (error) {
  wrong.push((error as Error).message);
} finally {
  await server.stop();
  await receiver.stop();
  await openId.stop();
}
for (const what of wrong) say(red(what));
say(wrong.length === 0 ? `\n${green('Everything arrived, once.')}` : `\n${red('Something did not go as it should.')}`);
process.exitCode = wrong.length === 0 ? 0 : 1;

/** Sends one request, twice, and shows what becomes of it. */
async function follow(sender: Sender, webhookId: string, withTrace: boolean): Promise<void> {
  say(`\n${bold(sender.name)}`);
  const { name, provider, secret, config } = sender;
  const expect = (holds: boolean, what: string): void => void (holds || wrong.push(`${name}: ${what}`));
  const { id, slug } = await server.post<Listed & { slug: string }>('/api/v1/integrations', {
    name,
    provider,
    ...(secret === undefined ? {} : { secret }),
    config,
  });
  const url = server.url + sender.path.replace('{slug}', slug).replace('{id}', id);
  const post = async () => {
    const { headers, body } = await sender.request();
    return { answer: await fetch(url, { method: 'POST', headers, body: new Uint8Array(body) }), bytes: body.length };
  };
  const { answer, bytes } = await post();
  tell('received', `${answer.status}, ${bytes} bytes at ${sender.path}, proof valid`);
  expect(answer.status === sender.answer, `answered ${answer.status}: ${await answer.text()}`);
  await post();
  const { counts } = await waitFor('the counts', async () => {
    const one = await server.get<{ counts: { duplicates: number } }>(`/api/v1/integrations/${id}`);
    return one.counts.duplicates > 0 && one;
  });
  tell('repeated', counts.duplicates === 1 ? 'recognised, no second event' : red('NOT recognised'));

  const ofIt = await server.list<Listed & { type: string; source: string; subject: string }>(
    `/api/v1/events?source=${provider}`,
  );
  const events = ofIt.filter(({ type }) => type === sender.becomes);
  const [event] = events;
  expect(events.length === 1, `${events.length} events ${sender.becomes} in place of one`);
  if (!event) return;
  tell('event', `${event.type} from ${event.source}, ${event.subject}, ${dim(event.id)}`);

  const delivery = await waitFor(
    'the delivery to succeed',
    async () => {
      const path = `/api/v1/outbound-webhooks/${webhookId}/deliveries?status=success`;
      return (await server.list<Delivery>(path)).find((one) => one.eventId === event.id);
    },
    () => server.output,
  );
  const { data: decisions } = await server.get<{ data: { ruleName: string; outcome: string }[] }>(
    `/api/v1/events/${event.id}/decisions`,
  );
  for (const { ruleName, outcome } of decisions) tell('decision', `rule "${ruleName}": ${outcome}`);
  const calls = receiver.calls.filter(({ body }) => (JSON.parse(body.toString()) as Listed).id === event.id);
  for (const [index, { status }] of calls.entries())
    tell(
      `attempt ${index + 1}`,
      status < 300
        ? `answered ${green(String(status))}`
        : `answered ${red(String(status))}${dim('  → webhook.failed → workflow retry-failed-webhooks')}`,
    );
  tell('delivery', `${green('success')} after ${delivery.attempts} attempts, ${dim(delivery.id)}`);
  expect(decisions.length === 1 && decisions[0]?.outcome === 'matched', 'the rule did not match once');
  expect(delivery.attempts === 3 && calls.length === 3, `${calls.length} calls in place of 3`);

  const { root } = await server.get<{ root: TraceNode }>(`/api/v1/events/${event.id}/trace`);
  const types = new Set(typesIn(root));
  for (const type of STORY) expect(types.has(type), `no ${type} in its story`);
  if (!withTrace) return;
  tell('trace', '');
  draw(root, INDENT);
}

function draw(node: TraceNode, indent: string): void {
  say(`${indent}${node.type} ${dim(node.subject)}`);
  for (const child of node.children) draw(child, `${indent}  `);
}

function* typesIn(node: TraceNode): Generator<string> {
  yield node.type;
  for (const child of node.children) yield* typesIn(child);
}
