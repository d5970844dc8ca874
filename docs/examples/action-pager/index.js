import { defineAction, definePlugin, StepError, Type } from 'millrace/plugin-sdk';

const pageOnCall = defineAction({
  name: 'page-on-call',
  description: 'Pages the person on call.',
  inputSchema: Type.Object({ team: Type.String(), text: Type.String() }, { additionalProperties: false }),
  async run(input, { http, idempotencyKey, timeoutMs, signal }) {
    const { PAGER_URL: url, PAGER_TOKEN: token } = process.env;
    const headers = { authorization: `Bearer ${token}`, 'idempotency-key': idempotencyKey };
    const answer = await http.request({ method: 'POST', url, headers, body: JSON.stringify(input), timeoutMs, signal });
    if (answer.status === 200) return { page: answer.body.toString() };
    const message = answer.kind === 'failed' ? answer.detail : `The pager answered ${answer.status}.`;
    throw new StepError({ code: 'pager.failed', message, retryable: !(answer.status < 500) });
  },
});

export default definePlugin({ name: 'millrace-action-pager', sdk: 1, actions: [pageOnCall] });
