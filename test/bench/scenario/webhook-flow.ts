import type { TestServer } from '../../support/server.js';
import { caughtUp } from '../measure/caught-up.js';
import { pollGently } from '../measure/poll-gently.js';
import type { Expectation, ReceiverProcess } from '../load/receiver-process.js';
import { senderOf } from '../load/senders.js';
import { discard, startServer } from './bench-server.js';
import type { Delivery } from './check-flow.js';
import type { FlowTarget, Requests } from './drive-flow.js';

export interface WebhookFlowOptions {
  readonly databaseUrl: string;
  readonly receiver: ReceiverProcess;
  readonly env?: Readonly<Record<string, string>>;
  /** How long a receiver may take (default: the product's). */
  readonly timeoutMs?: number;
}

const SECRET = 'bench-secret-0123456789';
/** No sender here sends this type: webhooks receive only what rules send them. */
const NEVER = 'release.published';

export const inLanes = async <T>(
  items: readonly T[],
  lanes: number,
  work: (item: T) => Promise<void>,
): Promise<void> => {
  const iterator = items.values();
  const lane = async () => {
    for (const item of iterator) await work(item);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
};

/** What was set up in the server, and the requests that it handles. */
interface Configured {
  /** Ids of the webhooks, by the receiver's port. */
  readonly webhooks: readonly string[];
  readonly expectations: readonly Expectation[];
  readonly pushes: Requests;
  /** Pushes that no rule matches. */
  readonly unmatched: Requests;
  readonly alerts: Requests;
}

/**
 * A server with the main job: GitHub pushes come in, and a rule for each branch sends them to the webhook of that branch, each
 * with its own receiver. Alerts of a generic sender go to the first webhook.
 */
export class WebhookFlow implements FlowTarget {
  private constructor(
    readonly server: TestServer,
    private readonly configured: Configured,
  ) {}

  static async start({ databaseUrl, receiver, env = {}, timeoutMs }: WebhookFlowOptions): Promise<WebhookFlow> {
    const server = await startServer(databaseUrl, env);
    try {
      return await WebhookFlow.on(server, receiver, timeoutMs === undefined ? {} : { timeoutMs });
    } catch (error) {
      await discard(server);
      throw error;
    }
  }

  private static async on(server: TestServer, receiver: ReceiverProcess, settings: object): Promise<WebhookFlow> {
    const webhooks: string[] = [];
    const expectations: Expectation[] = [];
    await inLanes([...receiver.ports.keys()], 16, async (port) => {
      const body = { url: `${receiver.url(port)}/hook`, events: [NEVER], ...settings };
      const { id, secret } = await server.post<{ id: string; secret: string }>('/api/v1/outbound-webhooks', body);
      webhooks[port] = id;
      expectations[port] = { secret, hexHeader: 'x-millrace-signature', standard: true };
      const rule = { eventSource: 'github', eventType: 'git.push', name: `pushes to ${branchOf(port)}` };
      await server.post('/api/v1/rules', {
        ...rule,
        conditions: { field: 'data.branch', operator: 'equals', value: branchOf(port) },
        actions: [{ type: 'send_webhook', with: { webhook: id } }],
      });
    });
    await server.post('/api/v1/rules', {
      name: 'critical alerts',
      eventSource: 'generic_webhook',
      eventType: 'webhook.received',
      conditions: { field: 'data.payload.severity', operator: 'equals', value: 'critical' },
      actions: [{ type: 'send_webhook', with: { webhook: webhooks[0] } }],
    });

    const requests = async (name: 'github' | 'generic'): Promise<(branches: readonly string[]) => Requests> => {
      const { provider, id } = senderOf(name, SECRET);
      const integration = { name: `bench ${name}`, provider, secret: SECRET };
      const { slug } = await server.post<{ slug: string }>('/api/v1/integrations', integration);
      const path = `/api/v1/webhooks/inbound/${slug}`;
      return (branches) => ({ path, id, variants: branches.map((branch) => senderOf(name, SECRET, branch)) });
    };
    const [github, generic] = [await requests('github'), await requests('generic')];
    const flow = new WebhookFlow(server, {
      webhooks,
      expectations,
      pushes: github(webhooks.map((_, port) => branchOf(port))),
      unmatched: github(['unmatched']),
      alerts: generic(['none']),
    });
    await flow.settled();
    return flow;
  }

  /** The same configuration in another server on the same database. */
  movedTo(server: TestServer): WebhookFlow {
    return new WebhookFlow(server, this.configured);
  }

  get webhooks(): readonly string[] {
    return this.configured.webhooks;
  }

  get expectations(): readonly Expectation[] {
    return this.configured.expectations;
  }

  get pushes(): Requests {
    return this.configured.pushes;
  }

  get unmatched(): Requests {
    return this.configured.unmatched;
  }

  get alerts(): Requests {
    return this.configured.alerts;
  }

  get pid(): number {
    return this.server.child.pid!;
  }

  get port(): number {
    return Number(new URL(this.server.url).port);
  }

  /** Resolves when all followers are at the end of the log and no delivery is pending. */
  async settled(): Promise<void> {
    await caughtUp(this.server);
    await pollGently('the end of the deliveries', async () => {
      const { data } = await this.server.get<{ data: object[] }>('/api/v1/deliveries?status=pending&limit=1');
      return data.length === 0;
    });
    await caughtUp(this.server);
  }

  /** Deliveries since a time, newest first. */
  deliveries(since: string): Promise<readonly Delivery[]> {
    return this.server.list<Delivery>(`/api/v1/deliveries?from=${since}`);
  }
}

export const branchOf = (port: number): string => (port === 0 ? 'main' : `topic-${port}`);
