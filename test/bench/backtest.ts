import { readFile } from 'node:fs/promises';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { githubPush, githubRequest, send } from '../support/github.js';
import { TestServer } from '../support/server.js';
import { median } from './benchmark.js';

/**
 * A draft over 100,000 stored GitHub pushes of 6.9 KB: how long it takes over HTTP, what memory it takes, and what it does
 * to whoever sends meanwhile. Verified: every push is counted, and as many match as were pushed to the branch.
 *
 *   node test/tool.mjs test/bench/backtest.ts [events]
 */
interface Answer {
  readonly scanned: number;
  readonly matched: number;
  readonly notMatched: number;
  readonly difference: { readonly both: number; readonly onlyDraft: { readonly count: number } };
}

const events = Number(process.argv[2] ?? 100_000);
const SECRET = 'bench-secret-0123456789';
const BRANCHES = ['main', 'main', 'topic'];

const server = await TestServer.start({ env: { LOG_LEVEL: 'warn' } });
try {
  const integration = { name: 'bench', provider: 'github', secret: SECRET };
  const { slug } = await server.post<{ slug: string }>('/api/v1/integrations', integration);
  const url = `${server.url}/api/v1/webhooks/inbound/${slug}`;
  const bodies = BRANCHES.map((branch) => githubPush(branch));
  let sent = 0;
  const lane = async (): Promise<void> => {
    for (let n = sent++; n < events; n = sent++) {
      const answer = await send(url, githubRequest('push', bodies[n % bodies.length], SECRET));
      if (answer.status !== 202) throw new Error(`filling the log: ${answer.status} ${await answer.text()}`);
      await answer.arrayBuffer();
      if (n > 0 && n % 20_000 === 0) console.error(`filling: ${n} of ${events} events`);
    }
  };
  await Promise.all(Array.from({ length: 32 }, lane));
  await waitFor('all subscribers to catch up', async () => (await lag()) === 0);

  const condition = (field: string, value: unknown) => ({ field, operator: 'equals', value });
  const rule = {
    name: 'pushes to main that touch the README',
    eventType: 'git.push',
    conditions: {
      all: [
        condition('data.branch', 'main'),
        { expression: 'data.commits[].[added, modified, removed][][] | length(@) >= `0`' },
      ],
    },
  };
  const { id } = await server.post<{ id: string }>('/api/v1/rules', { ...rule, enabled: false });
  const run = async (): Promise<{ ms: number; answer: Answer }> => {
    const began = performance.now();
    const answer = await server.post<Answer>('/api/v1/rules/backtest', {
      rule: { ...rule, conditions: condition('data.branch', 'main') },
      compareTo: id,
    });
    return { ms: performance.now() - began, answer };
  };
  const expected = Array.from({ length: events }, (_, n) => BRANCHES[n % 3]).filter(
    (branch) => branch === 'main',
  ).length;
  const verified = ({ scanned, matched, notMatched, difference }: Answer): boolean =>
    scanned >= events &&
    matched === expected + (scanned - events) &&
    notMatched === events - expected &&
    difference.both === matched;

  await run();
  const before = await memory();
  const alone = [await run(), await run(), await run()];
  const after = await memory();

  const calm = await latencies(3_000);
  let isOver = false;
  const during = run().finally(() => (isOver = true));
  const busy = await latencies(60_000, () => isOver);
  const together = await during;

  const sound = [...alone, together].every(({ answer }) => verified(answer));
  const ms = median(alone.map((one) => one.ms));
  console.log(
    `backtest with comparison   ${events} events in ${(ms / 1000).toFixed(2)} s, ${Math.round((events / ms) * 1000)}/s`,
  );
  console.log(`memory of the server       ${before.toFixed(0)} MB before, ${after.toFixed(0)} MB after three`);
  console.log(`with 200 pushes a second   ${(together.ms / 1000).toFixed(2)} s`);
  console.log(
    `a push meanwhile           p50 ${at(busy, 0.5)} ms, p99 ${at(busy, 0.99)} ms (alone p50 ${at(calm, 0.5)}, p99 ${at(calm, 0.99)})`,
  );
  console.log(`verify: counts             ${sound ? 'as sent' : `WRONG: ${JSON.stringify(together.answer)}`}`);
  if (!sound) process.exitCode = 1;

  /** Milliseconds of pushes sent at 200 a second, for so long or until it is over. */
  async function latencies(most: number, over: () => boolean = () => false): Promise<readonly number[]> {
    const times: number[] = [];
    const started = performance.now();
    const pending: Promise<void>[] = [];
    for (let n = 0; !over() && n * 5 < most; n++) {
      const wait = started + n * 5 - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      const began = performance.now();
      pending.push(
        send(url, githubRequest('push', bodies[0], SECRET))
          .then((answer) => answer.arrayBuffer())
          .then(() => void times.push(performance.now() - began)),
      );
    }
    await Promise.all(pending);
    return times.sort((one, two) => one - two);
  }
} finally {
  await server.stop();
}

function at(sorted: readonly number[], part: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(1);
}

async function memory(): Promise<number> {
  const status = await readFile(`/proc/${server.child.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

async function lag(): Promise<number> {
  const ready = await server.get<{ subscribers: readonly { lag: number }[] }>('/readyz');
  return Math.max(...ready.subscribers.map((subscriber) => subscriber.lag));
}
