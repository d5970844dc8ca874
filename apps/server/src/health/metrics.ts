import { Counter, Gauge, Histogram, collectDefaultMetrics, Registry } from 'prom-client';

/** What a scrape asks of the parts that keep their own numbers. */
export interface MetricSources {
  subscribers(): Promise<readonly { readonly name: string; readonly lag: number; readonly parked: number }[]>;
  /** Rows of claimed work by queue and state. */
  work(): Promise<readonly { readonly queue: string; readonly state: string; readonly rows: number }[]>;
  /** Attempts of deliveries that wait for the rate limit of their webhook. */
  pacedDeliveries(): Promise<number>;
}

/**
 * Numbers for Prometheus. Labels are bounded: routes by their pattern, event types by the catalogue (others count as
 * `custom`), never an id, an address or anything that a stranger can choose. Its own injection token.
 */
export class Metrics {
  readonly registry = new Registry();
  private readonly requests: Histogram<'method' | 'route' | 'status'>;
  private readonly appends: Histogram<'outcome'>;
  private readonly events: Counter<'type'>;
  private readonly attempts: Counter<'outcome'>;
  private sources: MetricSources | undefined;
  private collecting: Promise<string> | undefined;

  constructor() {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.requests = new Histogram({
      name: 'millrace_http_request_duration_seconds',
      help: 'Time to answer, by route pattern and status.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30],
      registers,
    });
    this.appends = new Histogram({
      name: 'millrace_log_append_duration_seconds',
      help: 'Time until an append is durable, or refused, or failed.',
      labelNames: ['outcome'],
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10],
      registers,
    });
    this.events = new Counter({
      name: 'millrace_events_appended_total',
      help: 'Events that this process has appended, by type.',
      labelNames: ['type'],
      registers,
    });
    this.attempts = new Counter({
      name: 'millrace_delivery_attempts_total',
      help: 'Attempts of outbound deliveries in this process, by outcome: delivered, or the class of the failure.',
      labelNames: ['outcome'],
      registers,
    });
    const labelNames = ['subscriber'] as const;
    const subscribers = async () => (await this.sources?.subscribers().catch(() => [])) ?? [];
    const parked = new Gauge({
      name: 'millrace_subscriber_parked_events',
      help: 'Parked events: those that a subscriber failed on.',
      labelNames,
      registers,
      // Each gauge asks by itself: one that another fills is a scrape behind.
      collect: async () => {
        for (const one of await subscribers()) parked.set({ subscriber: one.name }, one.parked);
      },
    });
    const lag = new Gauge({
      name: 'millrace_subscriber_lag_events',
      help: 'Positions between the end of the log and what a subscriber or table has handled.',
      labelNames,
      registers,
      collect: async () => {
        for (const one of await subscribers()) lag.set({ subscriber: one.name }, one.lag);
      },
    });
    const work = new Gauge({
      name: 'millrace_work_rows',
      help: 'Rows of claimed work, by queue and state.',
      labelNames: ['queue', 'state'],
      registers,
      collect: async () => {
        work.reset();
        for (const { queue, state, rows } of (await this.sources?.work().catch(() => [])) ?? [])
          work.set({ queue, state }, rows);
      },
    });
    const paced = new Gauge({
      name: 'millrace_deliveries_paced',
      help: 'Attempts of deliveries that wait for the rate limit of their webhook, or for their time.',
      registers,
      collect: async () => {
        const count = await this.sources?.pacedDeliveries().catch(() => undefined);
        if (count === undefined) paced.reset();
        else paced.set(count);
      },
    });
  }

  ask(sources: MetricSources): void {
    this.sources = sources;
  }

  /** Requests that arrive while it is being collected get the same text: asking must not be a load of its own. */
  text(): Promise<string> {
    return (this.collecting ??= this.registry.metrics().finally(() => (this.collecting = undefined)));
  }

  answered(method: string, route: string, status: number, milliseconds: number): void {
    this.requests.observe({ method, route, status }, milliseconds / 1000);
  }

  appended(outcome: 'stored' | 'repeated' | 'conflict' | 'failed', seconds: number): void {
    this.appends.observe({ outcome }, seconds);
  }

  recorded(type: string): void {
    this.events.inc({ type });
  }

  attempted(outcome: string): void {
    this.attempts.inc({ outcome });
  }
}
