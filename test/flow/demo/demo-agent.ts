import type { ExecutionDetail } from '#libs/events/src/shapes/agents/execution-shape.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { served } from '../../../libs/agents/testing/double.js';
import { OpenAiDouble } from '../../../libs/agents/testing/openai-double.js';
import { SlackDouble } from '../../support/doubles/chat-doubles.js';
import { TrackerDouble } from '../../support/doubles/tracker-double.js';
import { githubPayload, githubRequest, send } from '../../support/github.js';
import type { TestServer } from '../../support/server.js';

const SECRET = 'secret of the repository';
const COMMENT = 'Run the job again with a clean cache.';

export interface TraceNode {
  readonly type: string;
  readonly subject: string;
  readonly children: readonly TraceNode[];
}

/** What the trace of the issue must show. */
const STORY = [
  'issue.created',
  'rule.evaluated',
  'agent.requested',
  'agent.started',
  'agent.model_called',
  'agent.model_answered',
  'agent.approval_requested',
  'agent.approval_decided',
  'agent.tool_called',
  'issue.requested',
  'tracker.issue_commented',
  'agent.tool_answered',
  'agent.finished',
  'message.requested',
  'message.sent',
];

/**
 * An issue is opened at GitHub → a rule asks an agent → the model asks for a tool → a person approves → the tool comments on the
 * issue → another rule tells Slack. GitHub, Slack and the model are local doubles. @returns what went wrong.
 */
export async function answerIssue(
  server: TestServer,
  tell: (what: string, text: string) => void,
  draw: (node: TraceNode) => void,
): Promise<readonly string[]> {
  const model = new OpenAiDouble([
    { calls: [{ name: 'create_issue', args: { tracker: 'code', issue: '1', title: 'Answer', body: COMMENT } }] },
    { text: 'I answered: run the job again.' },
  ]);
  const github = await TrackerDouble.start();
  const slack = await SlackDouble.start();
  const { url, stop } = await served(model);
  try {
    const { slug, agentId } = await setUp(server, { model: url, github: github.url, slack: slack.apiUrl });
    const eventId = await openIssue(server, slug, github);
    tell('GitHub', 'issue #1 "The build is red" is opened; a rule asks the agent');

    const path = `/api/v1/agents/${agentId}/executions`;
    const waiting = await waitFor('the agent to ask', async () => {
      const [execution] = await server.list<{ id: string }>(`${path}?status=waiting_approval`);
      return execution && server.get<ExecutionDetail>(`${path}/${execution.id}`);
    });
    const [approval] = waiting.approvals;
    tell('agent', `it wants to call ${approval!.tool} ${JSON.stringify(approval!.arguments)}: approved`);
    await server.post(`${path}/${waiting.id}/approvals/${approval!.id}`, { decision: 'approve' });
    const done = await waitFor('the agent to end', async () => {
      const view = await server.get<ExecutionDetail>(`${path}/${waiting.id}`);
      return view.finishedAt !== null && view;
    });
    for (const { number, kind, name, status } of done.steps) tell('agent', `step ${number}: ${kind} ${name} ${status}`);
    tell('agent', `${done.status}: ${String(done.output)}`);
    const [message] = await waitFor('the message', () => slack.messages.length > 0 && slack.messages);
    const comments = github.issues.flatMap((issue) => issue.comments.map(({ body }) => body.split('\n', 1)[0]!));
    for (const comment of comments) tell('GitHub', `comment on issue #1: ${comment}`);
    tell('Slack', `message in #ops: ${message!.text}`);

    const { root } = await waitFor('the whole trace', async () => {
      const trace = await server.get<{ root: TraceNode }>(`/api/v1/events/${eventId}/trace`);
      return typesIn(trace.root).has('message.sent') && trace;
    });
    tell('trace', '');
    draw(root);
    const shown = typesIn(root);
    return [
      ...model.problems,
      ...(done.status === 'completed' ? [] : [`the agent is ${done.status}`]),
      ...(comments.join() === COMMENT ? [] : [`the comments on the issue are ${JSON.stringify(comments)}`]),
      ...(slack.messages.length === 1 ? [] : [`${slack.messages.length} messages in place of one`]),
      ...STORY.filter((type) => !shown.has(type)).map((type) => `the trace of the issue shows no ${type}`),
    ];
  } finally {
    await Promise.all([stop(), github.stop(), slack.stop()]);
  }
}

/** The integrations, the agent, and a rule before and after it. */
async function setUp(
  server: TestServer,
  at: { readonly model: string; readonly github: string; readonly slack: string },
) {
  await server.call('PUT', '/api/v1/secrets/OPENAI_KEY', { value: 'value of OPENAI_KEY' });
  const { slug } = await server.post<{ slug: string }>('/api/v1/integrations', {
    name: 'code',
    provider: 'github',
    secret: SECRET,
    config: { apiUrl: at.github, token: TrackerDouble.TOKEN, repository: 'acme/app' },
  });
  await server.post('/api/v1/integrations', {
    name: 'chat',
    provider: 'slack',
    secret: SECRET,
    config: { apiUrl: at.slack, botToken: SlackDouble.TOKEN },
  });
  const { id: agentId } = await server.post<{ id: string }>('/api/v1/agents', {
    name: 'answering',
    runtime: 'openai',
    config: {
      baseUrl: `${at.model}/v1`,
      model: 'double-1',
      apiKey: '${{ secrets.OPENAI_KEY }}',
      prompt: 'Answer this issue with a comment: ${{ event.data.issue.title }}',
      tools: [{ builtin: 'create_issue', policy: 'ask' }],
    },
  });
  await server.post('/api/v1/rules', {
    name: 'answer issues',
    eventSource: 'github',
    eventType: 'issue.created',
    actions: [{ type: 'dispatch_agent', with: { agent: 'answering' } }],
  });
  await server.post('/api/v1/rules', {
    name: 'tell about answers',
    eventType: 'agent.finished',
    conditions: { field: 'data.agent', operator: 'equals', value: 'answering' },
    actions: [
      { type: 'send_message', with: { integration: 'chat', channel: '#ops', text: 'answering: ${{ data.output }}' } },
    ],
  });
  return { slug, agentId };
}

/** The issue is there, and GitHub tells of it. @returns the id of the event. */
async function openIssue(server: TestServer, slug: string, github: TrackerDouble): Promise<string> {
  const title = 'The build is red';
  github.issues.push({ number: 1, title, body: '', labels: [], assignees: [], state: 'open', comments: [] });
  const payload = githubPayload('issues');
  const issue = { ...(payload['issue'] as object), number: 1, title, state: 'open' };
  const request = githubRequest('issues', { ...payload, action: 'opened', issue }, SECRET);
  const answer = await send(`${server.url}/api/v1/webhooks/inbound/${slug}`, request);
  const { eventIds } = (await answer.json()) as { eventIds: string[] };
  return eventIds[0]!;
}

function typesIn(root: TraceNode): ReadonlySet<string> {
  const all = (node: TraceNode): readonly string[] => [node.type, ...node.children.flatMap(all)];
  return new Set(all(root));
}
