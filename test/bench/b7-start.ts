import { readFile } from 'node:fs/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { githubPush, githubRequest, send } from '../support/github.js';
import { TestServer, waitFor } from '../support/server.js';
import { median } from './b1-ingest.js';

/** B7: from the start of the built server, on a folder with 100,000 events, to ready; and what it then holds in memory. */
export interface StartResult {
  readonly events: number;
  readonly readyMs: number;
  readonly rssMb: number;
  readonly rounds: readonly number[];
}

export async function measureStart(events: number, rounds: number): Promise<StartResult> {
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
        if (left > 0 && left % 10_000 === 0) process.stderr.write(`B7 filling: ${left} events to go\n`);
      }
    };
    await Promise.all(Array.from({ length: 64 }, lane));
    await waitFor('all subscribers to catch up', async () => (await lag(filling)) === 0, 300_000);
    await filling.stop();

    const times: number[] = [];
    const memory: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      const began = performance.now();
      const server = await TestServer.start({ dataDir, env: { LOG_LEVEL: 'warn' } });
      times.push(performance.now() - began);
      const status = await readFile(`/proc/${server.child.pid}/status`, 'utf8');
      memory.push(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
      process.stderr.write(
        `B7 round ${round}/${rounds}: ${times.at(-1)!.toFixed(0)} ms, ${memory.at(-1)!.toFixed(0)} MB\n`,
      );
      await server.stop();
    }
    return { events, readyMs: median(times), rssMb: median(memory), rounds: times };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function lag(server: TestServer): Promise<number> {
  const ready = (await (await fetch(`${server.url}/readyz`)).json()) as { subscribers: readonly { lag: number }[] };
  return Math.max(...ready.subscribers.map((subscriber) => subscriber.lag));
}
