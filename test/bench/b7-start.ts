import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { githubPush, githubRequest, send } from '../support/github.js';
import { TestServer } from '../support/server.js';
import { atMost, type Benchmark, median, say, type Size } from './benchmark.js';
import { usageOf } from './measure/process-usage.js';
import { caughtUp } from './measure/caught-up.js';

/** B7: from the start of the built server, on a folder with 100,000 events, to ready; and what it then holds in memory. */
interface StartResult {
  readonly events: number;
  readonly readyMs: number;
  readonly rssMb: number;
  readonly rounds: readonly number[];
}

async function measureStart(events: number, rounds: number): Promise<StartResult> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const dataDir = join(folder, 'data');
  try {
    const filling = await TestServer.start({ dataDir, env: { LOG_LEVEL: 'warn' } });
    const secret = 'bench-secret-0123456789';
    const { slug } = await filling.post<{ slug: string }>('/api/v1/integrations', {
      name: 'bench',
      provider: 'github',
      secret,
    });
    const url = `${filling.url}/api/v1/webhooks/inbound/${slug}`;
    const payload = githubPush();
    let left = events;
    const lane = async () => {
      while (left-- > 0) {
        const answer = await send(url, githubRequest('push', payload, secret));
        if (answer.status !== 202) throw new Error(`filling the log: ${answer.status} ${await answer.text()}`);
        await answer.arrayBuffer();
        if (left > 0 && left % 10_000 === 0) say(`B7 filling: ${left} events to go`);
      }
    };
    await Promise.all(Array.from({ length: 64 }, lane));
    await caughtUp(filling);
    await filling.stop();

    const times: number[] = [];
    const memory: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      const began = performance.now();
      const server = await TestServer.start({ dataDir, env: { LOG_LEVEL: 'warn' } });
      times.push(performance.now() - began);
      memory.push((await usageOf(server.child.pid!)).residentMb);
      say(`B7 round ${round}/${rounds}: ${times.at(-1)!.toFixed(0)} ms, ${memory.at(-1)!.toFixed(0)} MB`);
      await server.stop();
    }
    return { events, readyMs: median(times), rssMb: median(memory), rounds: times };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const PLANS: Readonly<Record<Size, readonly [events: number, rounds: number]>> = {
  full: [100_000, 5],
  quick: [5_000, 2],
  smoke: [20, 1],
};

export const start: Benchmark = {
  id: 'B7',
  title: 'start on existing data',
  async run({ size }) {
    const result = await measureStart(...PLANS[size]);
    return {
      rows: [
        atMost(`start with ${result.events} events, ms`, result.readyMs, 2_000),
        atMost('resident memory, MB', result.rssMb, 250),
      ],
      verified: 'the server was ready after every start',
      faults: [],
      result,
    };
  },
};
