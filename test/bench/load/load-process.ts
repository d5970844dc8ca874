import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ROOT } from '../../support/server.js';

/** What the load generator prints. Times are milliseconds on the clock that all processes of the machine share. */
export interface Load {
  readonly acknowledged: number;
  readonly failed: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly start: number;
  readonly end: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
  /** CPU time of the load generator, as a share of one core. */
  readonly processorShare: number;
}

/** A request that was acknowledged. */
export interface Acknowledged {
  readonly id: string;
  /** When it was due to be sent. */
  readonly at: number;
  /** Which of the variants it was. */
  readonly variant: number;
  /** Id of the event or run in the answer. */
  readonly answerId: string;
}

export interface Variant {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Where the load generator puts the delivery id: into this header, or over the #s in the body. */
export type IdPlace = { readonly idHeader: string } | { readonly idInBody: true } | { readonly slackSecret: string };

export interface LoadOptions {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly id: IdPlace;
  readonly variants: readonly Variant[];
  readonly seconds?: number;
  readonly count?: number;
  readonly rate?: number;
  /** Where to look up runs: each connection waits for its run to end before it starts the next. */
  readonly follow?: { readonly path: string; readonly headers: Readonly<Record<string, string>> };
}

/** Runs the load generator once. @throws unless every request was accepted. */
export async function runLoad(
  options: LoadOptions,
): Promise<{ readonly load: Load; readonly acknowledged: readonly Acknowledged[] }> {
  const { id, variants, ...rest } = options;
  const folder = await mkdtemp(join(tmpdir(), 'millrace-load-'));
  try {
    const record = join(folder, 'acknowledged');
    const files = await Promise.all(
      variants.map(async ({ body, headers }, n) => {
        const bodyFile = join(folder, `body-${n}`);
        await writeFile(bodyFile, body);
        return { bodyFile, headers };
      }),
    );
    const out = await outputOf('test/bench/load/load.mjs', { ...rest, ...id, variants: files, record });
    const load = JSON.parse(out) as Load;
    if (load.failed > 0) throw new Error(`the load was not all accepted: ${out}`);
    const lines = (await readFile(record, 'utf8')).split('\n').filter((line) => line !== '');
    return { load, acknowledged: lines.map(acknowledgedOf) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs a program with its options as JSON and returns its output. */
export async function outputOf(program: string, options: object, node = process.execPath): Promise<string> {
  const child = spawn(node, [program, JSON.stringify(options)], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${out}`);
  return out;
}

function acknowledgedOf(line: string): Acknowledged {
  const [id = '', at, variant, answerId = ''] = line.split(' ');
  return { id, at: Number(at), variant: Number(variant), answerId };
}

/** The value of `X-Hub-Signature-256` and similar headers. */
export const sha256Signature = (secret: string, body: string): string =>
  `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
