import { type ChildProcess, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { followers } from '#libs/events/src/followers.js';

import { freePort, ROOT, TestServer, waitFor } from '../support/server.js';
import { type SenderName, senderOf } from './senders.js';

/**
 * B1: signed GitHub pushes (or the requests of another sender) acknowledged a second, durable, in the embedded log, 64 connections, as a ratio to a bare
 * Fastify handler that checks the HMAC and parses the JSON, measured in turns in the same run. The verify pass reads the
 * log back through the API: everything acknowledged is there, once, and nothing else.
 */
export interface IngestResult {
  readonly baselinePerSecond: number;
  readonly perSecond: number;
  readonly ratio: number;
  readonly p99At70PercentMs: number;
  readonly p50At70PercentMs: number;
  readonly acknowledged: number;
  readonly inLog: number;
  readonly missing: number;
  readonly twice: number;
  readonly rounds: readonly { readonly baseline: number; readonly millrace: number }[];
}

const SECRET = 'bench-secret-0123456789';
const CONNECTIONS = 64;

interface Load {
  readonly acknowledged: number;
  readonly failed: number;
  readonly statuses: Record<string, number>;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

export async function measureIngest(
  rounds: number,
  seconds: number,
  from: SenderName = 'github',
): Promise<IngestResult> {
  const sender = senderOf(from, SECRET);
  const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const bodyFile = join(folder, 'push.json');
  await writeFile(bodyFile, sender.body);
  // The bare handler checks one and the same signature, whatever the sender, over the same number of bytes.
  const bare = { 'x-hub-signature-256': `sha256=${createHmac('sha256', SECRET).update(sender.body).digest('hex')}` };
  const baselinePort = await freePort();
  const records: string[] = [];
  const load = async (port: number, path: string, duration: number, more: { rate?: number; record?: true } = {}) => {
    const record = more.record ? join(folder, `ids-${records.length}`) : undefined;
    if (record) records.push(record);
    const ours =
      port === baselinePort
        ? { headers: { ...sender.headers, ...bare } }
        : {
            headers: sender.headers,
            ...('header' in sender.id ? { idHeader: sender.id.header } : { slackSecret: sender.id.slackSecret }),
          };
    const options = { port, path, connections: CONNECTIONS, seconds: duration, bodyFile, ...ours, ...more, record };
    const child = spawn(process.execPath, ['test/bench/load.mjs', JSON.stringify(options)], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    await once(child, 'close');
    const result = JSON.parse(out) as Load;
    if (result.failed > 0) throw new Error(`the load was not all accepted: ${out}`);
    return result;
  };

  const baseline = spawn(process.execPath, ['test/bench/baseline.mjs', String(baselinePort), SECRET], { cwd: ROOT });
  await once(baseline.stdout, 'data');
  const server = await TestServer.start({ dataDir: join(folder, 'data'), env: { LOG_LEVEL: 'warn' } });
  try {
    const integration = await server.post<{ slug: string }>('/api/v1/integrations', {
      name: 'bench',
      provider: sender.provider,
      secret: SECRET,
    });
    const path = `/api/v1/webhooks/inbound/${integration.slug}`;
    const port = Number(new URL(server.url).port);

    await load(baselinePort, '/hook', 2);
    await load(port, path, 3, { record: true });
    const measured: { baseline: number; millrace: number }[] = [];
    for (let round = 1; round <= rounds; round++) {
      const before = await load(baselinePort, '/hook', seconds);
      const ours = await load(port, path, seconds, { record: true });
      measured.push({ baseline: before.perSecond, millrace: ours.perSecond });
      process.stderr.write(
        `B1 ${from} round ${round}/${rounds}: baseline ${before.perSecond.toFixed(0)}/s, millrace ${ours.perSecond.toFixed(0)}/s ` +
          `(${(ours.perSecond / before.perSecond).toFixed(2)})\n`,
      );
    }
    const perSecond = median(measured.map((round) => round.millrace));
    const baselinePerSecond = median(measured.map((round) => round.baseline));
    const ratio = median(measured.map((round) => round.millrace / round.baseline));
    const calm = await load(port, path, seconds, { rate: 0.7 * perSecond, record: true });

    process.stderr.write('B1 verify pass: reading the log back\n');
    const acknowledged = (await Promise.all(records.map((file) => readFile(file, 'utf8'))))
      .flatMap((text) => text.split('\n'))
      .filter((id) => id !== '');
    const seen = await deliveriesInLog(server, sender.type);
    const missing = acknowledged.filter((id) => !seen.has(id)).length;
    const twice = [...seen.values()].filter((count) => count > 1).length;
    return {
      baselinePerSecond,
      perSecond,
      ratio,
      p50At70PercentMs: calm.p50,
      p99At70PercentMs: calm.p99,
      acknowledged: acknowledged.length,
      inLog: [...seen.values()].reduce((sum, count) => sum + count, 0),
      missing,
      twice,
      rounds: measured,
    };
  } finally {
    await end(baseline);
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Delivery ids of all events of a type in the log with how often each is there, streamed as NDJSON. */
async function deliveriesInLog(server: TestServer, type: string): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  const { ADMIN_TOKEN } = await import('../support/server.js');
  // The export reads the event index, which follows the log: wait until it has caught up.
  await waitFor('the event index to catch up', async () => (await lagOf(server, followers.eventIndex)) === 0, 300_000);
  const answer = await fetch(`${server.url}/api/v1/events?type=${type}`, {
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, accept: 'application/x-ndjson' },
  });
  if (!answer.ok || !answer.body) throw new Error(`the export answered ${answer.status}: ${await answer.text()}`);
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of answer.body) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const id = (JSON.parse(line) as { data: { deliveryId: string } }).data.deliveryId;
      seen.set(id, (seen.get(id) ?? 0) + 1);
    }
  }
  if (rest !== '') throw new Error('the export ended in the middle of a line');
  return seen;
}

async function lagOf(server: TestServer, name: string): Promise<number | undefined> {
  const ready = await fetch(`${server.url}/readyz`).then((answer) => answer.json() as Promise<Readyz>);
  return ready.subscribers.find((subscriber) => subscriber.name === name)?.lag;
}
interface Readyz {
  readonly subscribers: readonly { readonly name: string; readonly lag: number }[];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill();
  await once(child, 'exit');
}
