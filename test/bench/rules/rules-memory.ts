import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { githubPush, githubRequest, send } from '../../support/github.js';
import { TestServer } from '../../support/server.js';
import { caughtUp } from '../measure/caught-up.js';
import { usageOf } from '../measure/process-usage.js';
import { benchRule, definitionOf } from './bench-rules.js';

/** The built server's resident memory with 10,000 rules, 500 of which look at an event of nearly 1 MiB, again and again. */
export interface RulesMemoryResult {
  readonly rules: number;
  readonly startedMb: number;
  readonly withRulesMb: number;
  readonly withEventsMb: number;
  /** Started again on the same folder, the rules folded from the log, and after one event more. */
  readonly restartedMb: number;
  readonly restartedWithEventMb: number;
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
        const rule = { ...benchRule(Math.floor(n / 20)), name: `rule ${n}` };
        await server.post('/api/v1/rules', { ...definitionOf(rule, type), actions: [] });
      }
    };
    await Promise.all(Array.from({ length: 16 }, lane));
    await caughtUp(server);
    const withRulesMb = await rssMb(server);
    const padding = 'x'.repeat(2 ** 20 - 20_000);
    const seen: string[] = [];
    const push = async () => {
      const url = `${server.url}/api/v1/webhooks/inbound/${slug}`;
      const answer = await send(url, githubRequest('push', { ...githubPush(), padding }, SECRET));
      if (answer.status !== 202) throw new Error(`a large push: ${answer.status} ${await answer.text()}`);
      seen.push(((await answer.json()) as { eventIds: string[] }).eventIds[0]!);
    };
    for (let n = 0; n < events; n++) await push();
    await caughtUp(server);
    const withEventsMb = await rssMb(server);
    await server.stop();
    server = await TestServer.start(options);
    await caughtUp(server);
    const restartedMb = await rssMb(server);
    await push();
    await caughtUp(server);
    const restartedWithEventMb = await rssMb(server);
    let missing = 0;
    for (const id of seen) {
      const decided = await server.list(`/api/v1/events/${id}/decisions`);
      if (decided.length !== Math.ceil(rules / 20)) missing++;
    }
    return { rules, startedMb, withRulesMb, withEventsMb, restartedMb, restartedWithEventMb, missing };
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

const rssMb = async (server: TestServer): Promise<number> => (await usageOf(server.child.pid!)).residentMb;
