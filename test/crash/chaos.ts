import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { waitFor } from '#libs/kernel/testing/wait-for.js';
import type { CheckResult } from '#libs/rules/src/trial/decision-check.js';

import { githubPush, githubRequest, send } from '../support/github.js';
import { Receiver } from '../support/receiver.js';
import { freePort, TestServer } from '../support/server.js';

/**
 * Kills the server with `kill -9` at random moments under load, again and again, and then holds what it finds against
 * what it was told: every acknowledged event is in the log once, every match has its decision once, every delivery its
 * right end state, every receiver its calls, and no run repeated a step that it had completed.
 *
 * A push to `main` matches a rule that sends it to one webhook; another webhook subscribes to every push and answers
 * 500 the first two times to every third of them, so that the retry workflow has work in every round.
 */
export interface ChaosResult {
  readonly rounds: number;
  readonly acknowledged: number;
  readonly repeatedRequests: number;
  readonly kills: number;
  readonly faults: readonly string[];
  readonly slowestRecoveryMs: number;
}

export interface ChaosOptions {
  readonly rounds: number;
  /** Milliseconds between a server being ready and its death: a random time up to this. */
  readonly lifeMs: number;
  readonly lanes: number;
  readonly report: (line: string) => void;
  /** For a repeatable choice of moments. */
  readonly seed: number;
}

interface Listed {
  readonly id: string;
}
interface Decision {
  readonly ruleId: string;
  readonly outcome: string;
}
interface Delivery {
  readonly id: string;
  readonly eventId: string;
  readonly status: string;
  readonly attempts: number;
}
interface Run {
  readonly id: string;
  readonly status: string;
}

const SECRET = 'chaos-secret-0123456789';

export async function chaos(options: ChaosOptions): Promise<ChaosResult> {
  const random = mulberry32(options.seed);
  const folder = await mkdtemp(join(tmpdir(), 'millrace-chaos-'));
  const dataDir = join(folder, 'data');
  const port = await freePort();
  const receiver = await Receiver.start((nth, call) =>
    call.path === '/flaky' && nth <= 2 && fails(call.body) ? 500 : 200,
  );
  const env = { MILLRACE_RETRY_SCHEDULE: '200ms,400ms,800ms,2s,4s', LOG_LEVEL: 'warn' };
  const faults: string[] = [];
  let server = await TestServer.start({ dataDir, port, env });
  try {
    const integration = await server.post<{ slug: string }>('/api/v1/integrations', {
      name: 'chaos',
      provider: 'github',
      secret: SECRET,
    });
    const target = await server.post<Listed>('/api/v1/outbound-webhooks', {
      url: `${receiver.url}/by-rule`,
      events: ['release.published'],
    });
    const flaky = await server.post<Listed>('/api/v1/outbound-webhooks', {
      url: `${receiver.url}/flaky`,
      events: ['git.push'],
    });
    const rule = await server.post<Listed>('/api/v1/rules', {
      name: 'pushes to main',
      enabled: true,
      eventSource: 'github',
      eventType: 'git.push',
      conditions: { field: 'data.branch', operator: 'equals', value: 'main' },
      actions: [{ type: 'send_webhook', with: { webhook: target.id } }],
    });
    const url = `${server.url}/api/v1/webhooks/inbound/${integration.slug}`;

    // Senders behave as good senders do: they repeat a request, with its delivery id, until it is acknowledged.
    const acknowledged = new Map<string, { eventId: string; branch: string }>();
    let repeated = 0;
    let sending = true;
    const lane = async () => {
      while (sending) {
        const branch = random() < 0.5 ? 'main' : 'topic/a-b';
        const payload = githubPush(branch);
        const request = githubRequest('push', payload, SECRET, randomUUID());
        for (let tries = 0; ; tries++) {
          const answer = await send(url, request).catch(() => undefined);
          const body = (await answer?.json().catch(() => undefined)) as { eventIds?: string[] } | undefined;
          if (answer?.status === 202 && body?.eventIds?.[0]) {
            acknowledged.set(request.deliveryId, { eventId: body.eventIds[0], branch });
            break;
          }
          if (answer && answer.status < 500 && answer.status !== 202) {
            faults.push(`a good request was refused with ${answer.status}: ${JSON.stringify(body)}`);
            break;
          }
          repeated++;
          await pause(50);
        }
        await pause(5 + random() * 20);
      }
    };
    const lanes = Array.from({ length: options.lanes }, lane);

    let slowestRecoveryMs = 0;
    for (let round = 1; round <= options.rounds; round++) {
      await pause(random() * options.lifeMs);
      await server.kill();
      const began = performance.now();
      server = await TestServer.start({ dataDir, port, env });
      slowestRecoveryMs = Math.max(slowestRecoveryMs, performance.now() - began);
      options.report(`round ${round}/${options.rounds}: killed and back, ${acknowledged.size} events acknowledged`);
    }
    sending = false;
    await Promise.all(lanes);

    options.report(`waiting until all of ${acknowledged.size} events are through`);
    const wanted = [...acknowledged.values()];
    const eventIds = new Set(wanted.map((event) => event.eventId));
    if (eventIds.size !== acknowledged.size) faults.push('two acknowledged requests share one event');
    const settled = async () => {
      const open = await server.list<Delivery>(`/api/v1/outbound-webhooks/${flaky.id}/deliveries?status=pending`);
      const open2 = await server.list<Delivery>(`/api/v1/outbound-webhooks/${target.id}/deliveries?status=pending`);
      const running = await server.list<Run>('/api/v1/runs');
      const done = await server.list<Delivery>(`/api/v1/outbound-webhooks/${flaky.id}/deliveries?status=success`);
      return (
        open.length === 0 &&
        open2.length === 0 &&
        done.filter((delivery) => eventIds.has(delivery.eventId)).length >= eventIds.size &&
        running.every((run) => run.status === 'completed' || run.status === 'failed')
      );
    };
    await waitFor('all deliveries and runs to end', async () => (await settled()) || (await pause(500), false)).catch(
      (error: unknown) => faults.push(String(error)),
    );

    options.report('checking');
    const pushes = await server.list<{ id: string; data: { deliveryId: string } }>('/api/v1/events?type=git.push');
    const byDelivery = countBy(pushes, (event) => event.data.deliveryId);
    for (const [deliveryId, { eventId }] of acknowledged) {
      const count = byDelivery.get(deliveryId) ?? 0;
      if (count !== 1) faults.push(`acknowledged delivery ${deliveryId} (${eventId}) is in the log ${count} times`);
    }

    const decisions = countBy(
      (await server.list<Decision & { eventId: string }>(`/api/v1/rules/${rule.id}/decisions`)).map(
        (decision) => `${decision.eventId} ${decision.outcome}`,
      ),
      (key) => key,
    );
    for (const { eventId, branch } of wanted) {
      const outcome = branch === 'main' ? 'matched' : 'not_matched';
      const count = decisions.get(`${eventId} ${outcome}`) ?? 0;
      if (count !== 1) faults.push(`event ${eventId} has ${count} decisions "${outcome}"`);
    }

    const decided = await server.get<CheckResult>('/api/v1/decisions/check');
    if (decided.events < wanted.length)
      faults.push(`${decided.events} events were to be decided, fewer than the ${wanted.length} acknowledged`);
    for (const one of decided.discrepancies) faults.push(`decisions do not add up: ${JSON.stringify(one)}`);

    const checkDeliveries = async (webhook: string, path: string, expected: readonly string[], perMessage: number) => {
      const deliveries = (await server.list<Delivery>(`/api/v1/outbound-webhooks/${webhook}/deliveries`)).filter(
        (one) => eventIds.has(one.eventId),
      );
      const counts = countBy(deliveries, (delivery) => delivery.eventId);
      for (const id of expected)
        if (counts.get(id) !== 1) faults.push(`event ${id} has ${counts.get(id) ?? 0} deliveries to ${path}`);
      for (const one of deliveries)
        if (one.status !== 'success') faults.push(`delivery ${one.id} to ${path} is ${one.status}`);
      let surplus = 0;
      const successes = countBy(
        receiver.calls.filter((call) => call.path === path && call.status === 200),
        (call) => (JSON.parse(call.body.toString()) as { id: string }).id,
      );
      for (const id of expected) {
        const count = successes.get(id) ?? 0;
        if (count === 0) faults.push(`the receiver ${path} never accepted event ${id}`);
        surplus += Math.max(0, count - perMessage);
      }
      // A crash between a call and its record repeats what was in flight then, and nothing else.
      const bound = options.rounds * IN_FLIGHT;
      if (surplus > bound) faults.push(`${path} was called ${surplus} times too often, more than ${bound}`);
      const worst = Math.max(0, ...successes.values());
      if (worst > perMessage + options.rounds) faults.push(`one message reached ${path} ${worst} times`);
    };
    await checkDeliveries(
      flaky.id,
      '/flaky',
      wanted.map((event) => event.eventId),
      1,
    );
    await checkDeliveries(
      target.id,
      '/by-rule',
      wanted.filter((event) => event.branch === 'main').map((event) => event.eventId),
      1,
    );

    for (const run of await server.list<Run>('/api/v1/runs'))
      if (run.status !== 'completed') faults.push(`run ${run.id} is ${run.status}`);

    return {
      rounds: options.rounds,
      acknowledged: acknowledged.size,
      repeatedRequests: repeated,
      kills: options.rounds,
      faults,
      slowestRecoveryMs,
    };
  } finally {
    await server.kill();
    await TestServer.start({ dataDir, port, env })
      .then((last) => last.stop())
      .catch(() => undefined);
    await receiver.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Most calls that can be under way in one process at the moment of its death. */
const IN_FLIGHT = 64;

/** Every third push fails at first; decided by the body, so that every attempt of one message agrees. */
const fails = (body: Buffer): boolean => {
  const { id } = JSON.parse(body.toString()) as { id: string };
  return [...id].reduce((sum, character) => sum + character.charCodeAt(0), 0) % 3 === 0;
};

function countBy<T>(values: readonly T[], key: (value: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(key(value), (counts.get(key(value)) ?? 0) + 1);
  return counts;
}

const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

/** A small seeded generator: the moments of death can be chosen again. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
