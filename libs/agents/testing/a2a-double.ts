import type { Double, DoubleAnswer, DoubleRequest } from './double.js';

type State = 'COMPLETED' | 'FAILED' | 'WORKING' | 'REJECTED' | 'INPUT_REQUIRED' | 'CANCELED';

/** An agent that speaks A2A 1.0 over HTTP+JSON: one task for each message id, whose states are played in order. */
export class A2aDouble implements Double {
  readonly problems: string[] = [];
  readonly tasks = new Map<string, { readonly parts: unknown; looks: number; cancelled: boolean }>();
  /** Statuses of requests that fail first. */
  readonly failures: number[] = [];

  constructor(
    private readonly states: readonly State[],
    private readonly url = 'https://agent.example.com/a2a/v1',
    private readonly binding = 'HTTP+JSON',
  ) {}

  answer({ method, path, headers, body }: DoubleRequest): DoubleAnswer {
    if (path === '/.well-known/agent-card.json') {
      const supportedInterfaces = [{ url: this.url, protocolBinding: this.binding, protocolVersion: '1.0' }];
      return json(200, { name: 'double', version: '1', supportedInterfaces });
    }
    const failure = this.failures.shift();
    if (failure !== undefined) return json(failure, {});
    if (headers['a2a-version'] !== '1.0') this.problems.push('it names no version');
    const at = path.slice(new URL(this.url).pathname.length);
    if (method === 'POST' && at === '/message:send') return this.send(body);
    const [, id, action] = /^\/tasks\/([^:]+)(:cancel)?$/.exec(at) ?? [];
    const task = this.tasks.get(id ?? '');
    if (!task) {
      this.problems.push(`${method} ${at}`);
      return json(404, {});
    }
    if (action) task.cancelled = true;
    return json(200, this.shown(id!));
  }

  private send(body: string): DoubleAnswer {
    const { message } = JSON.parse(body) as { message: { messageId: string; role: string; parts: unknown } };
    if (message.role !== 'ROLE_USER') this.problems.push('the message is not of a user');
    const id = `task-${message.messageId}`;
    if (!this.tasks.has(id)) this.tasks.set(id, { parts: message.parts, looks: 0, cancelled: false });
    return json(200, { task: this.shown(id) });
  }

  private shown(id: string): unknown {
    const task = this.tasks.get(id)!;
    const state = this.states[Math.min(task.looks++, this.states.length - 1)]!;
    return {
      id,
      contextId: 'context-1',
      status: { state: `TASK_STATE_${state}`, message: { role: 'ROLE_AGENT', parts: [{ text: 'as it says' }] } },
      ...(state === 'COMPLETED' && { artifacts: [{ artifactId: 'a', parts: [{ data: { priority: 'high' } }] }] }),
    };
  }
}

const json = (status: number, body: unknown): DoubleAnswer => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});
