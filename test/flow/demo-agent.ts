import { catalogue } from '#libs/events/src/catalogue.js';
import type { ExecutionAnswer, ExecutionDetail } from '#libs/events/src/shapes/agents/execution-shape.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { served } from '../../libs/agents/testing/double.js';
import { OpenAiDouble } from '../../libs/agents/testing/openai-double.js';
import type { TestServer } from '../support/server.js';

/**
 * An agent answers an issue: a rule starts it, the model (a double) asks for a tool, a person approves, and the tool's issue is
 * opened. @returns what went wrong.
 */
export async function answerIssue(
  server: TestServer,
  tell: (what: string, text: string) => void,
): Promise<readonly string[]> {
  const model = new OpenAiDouble([
    { calls: [{ name: 'create_issue', args: { title: 'Rotate the key of the build server', priority: 'high' } }] },
    { text: 'I opened an issue for the follow-up.' },
  ]);
  const { url, stop } = await served(model);
  try {
    await server.call('PUT', '/api/v1/secrets/OPENAI_KEY', { value: 'value of OPENAI_KEY' });
    const agent = await server.post<{ id: string }>('/api/v1/agents', {
      name: 'answering',
      runtime: 'openai',
      config: {
        baseUrl: `${url}/v1`,
        model: 'double-1',
        apiKey: '${{ secrets.OPENAI_KEY }}',
        prompt: 'What follows from this issue? ${{ event.data.issue.title }}',
        tools: [{ builtin: 'create_issue', policy: 'ask' }],
      },
    });
    await server.post('/api/v1/rules', {
      name: 'answer issues',
      eventType: 'issue.created',
      actions: [{ type: 'dispatch_agent', with: { agent: agent.id } }],
    });
    const { example } = catalogue['issue.created'];
    await server.post('/api/v1/events', { type: 'issue.created', subject: 'issue/demo', data: example });
    tell('agent', 'an issue was opened, and a rule asks the agent');
    const path = `/api/v1/agents/${agent.id}/executions`;
    const waiting = await waitFor('the agent to ask', async () => {
      const [execution] = await server.list<ExecutionAnswer>(`${path}?status=waiting_approval`);
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
    return [...model.problems, ...(done.status === 'completed' ? [] : [`the agent is ${done.status}`])];
  } finally {
    await stop();
  }
}
