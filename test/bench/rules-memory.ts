import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { githubPush, githubRequest, send } from '../support/github.js';
import { TestServer, waitFor } from '../support/server.js';
import { benchRule, definitionOf } from './b3-rules.js';

/** The built server's resident memory with 10,000 rules, 500 of which look at an event of nearly 1 MiB, again and again. */
export interface RulesMemoryResult {
  readonly rules: number;
  readonly startedMb: number;
  readonly withRulesMb: number;
  readonly withEventsMb: number;
  /** Started again on the same folder: the rules are folded from the log. */
  readonly restartedMb: number;
  readonly missing: number;
}

const SECRET = 'bench-secret-0123456789';

export async function measureRulesMemory(rules: number, events: number): Promise<RulesMemoryResult> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const options = { dataDir: join(folder, 'data'), env: { LOG_LEVEL: 'warn' } };
  let server = await TestServer.start(options);
  try {
    const startedMb = await rssMb(server);
    const integration = { name: 'bench', provider: 'github', secret: SECRET };
    const { slug } = await server.post<{ slug: string }>('/api/v1/integrations', integration);
    let next = 0;
    const lane = async () => {
      for (let n = next++; n < rules; n = next++) {
        const type = n % 20 === 0 ? 'git.push' : 'pipeline.finished';
        await server.post('/api/v1/rules', { ...definitionOf(benchRule(Math.floor(n / 20)), type), actions: [] });
      }
    };
    await Promise.all(Array.from({ length: 16 }, lane));
    await settled(server);
    const withRulesMb = await rssMb(server);
    const padding = 'x'.repeat(2 ** 20 - 20_000);
    const seen: string[] = [];
    for (let n = 0; n < events; n++) {
      const payload = { ...githubPush(), padding };
      const url = `${server.url}/api/v1/webhooks/inbound/${slug}`;
      const answer = await send(url, githubRequest('push', payload, SECRET));
      if (answer.status !== 202) throw new Error(`a large push: ${answer.status} ${await answer.text()}`);
      seen.push(((await answer.json()) as { eventIds: string[] }).eventIds[0]!);
    }
    await settled(server);
    const withEventsMb = await rssMb(server);
    let missing = 0;
    for (const id of seen) {
      const decided = await server.list(`/api/v1/events/${id}/decisions`);
      if (decided.length !== Math.ceil(rules / 20)) missing++;
    }
    await server.stop();
    server = await TestServer.start(options);
    await settled(server);
    return { rules, startedMb, withRulesMb, withEventsMb, restartedMb: await rssMb(server), missing };
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function rssMb(server: TestServer): Promise<number> {
  const status = await readFile(`/proc/${server.child.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

const settled = (server: TestServer): Promise<unknown> =>
  waitFor(
    'all subscribers to catch up',
    async () => {
      const ready = (await (await fetch(`${server.url}/readyz`)).json()) as { subscribers: { lag: number }[] };
      return ready.subscribers.every(({ lag }) => lag === 0);
    },
    300_000,
  );
