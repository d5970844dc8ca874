import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { recordedResponse } from '#libs/deliveries/src/sending/outgoing.js';
import { resultOf as deliveryResult } from '#libs/deliveries/src/sending/attempt-result.js';
import { HttpEgress } from '#libs/egress/src/egress.adapter.js';
import type { Egress, EgressOutcome, EgressRequest } from '#libs/egress/src/egress.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';
import { http } from '#libs/steps/src/http.step.js';
import { plain } from '#libs/workflows/src/steps/kind/step-input.js';

import { Random } from '../random.js';
import { type Failure, resultOf, type TargetOptions, type TargetResult } from '../target-result.js';
import { hostileAnswer, type HostileAnswer } from './hostile-answer.js';

export interface ReceiverOptions extends TargetOptions {
  /** What is tried. Default: the real one. */
  readonly egress?: Pick<Egress, 'request'>;
  readonly lanes?: number;
}

export const RECEIVER = 'receiver';
const MOST_FAILURES = 20;
/** For answers that end by themselves: a busy machine must not make them fail. */
const PATIENT_MS = 30_000;
const ENDLESS_MS = 300;
/** Bytes that may be in use beyond those at the start. */
const MOST_MEMORY = 1024 ** 3;

/**
 * The way out, the `http` step and the outcomes of deliveries, over a receiver that answers anything: no request rejects or
 * hangs, what came whole is passed on as it was, what broke off is never a success, and memory stays bounded.
 */
export async function fuzzReceiver(options: ReceiverOptions): Promise<TargetResult> {
  const { inputs, seed, lanes = 16 } = options;
  const receiver = await Receiver.start();
  const own = new HttpEgress({ allowHttpTargets: true, allowPrivateTargets: ['127.0.0.0/8'] });
  const egress = options.egress ?? own;
  const failures: Failure[] = [];
  const outcomes: Record<string, number> = {};
  const times = new Float64Array(inputs);
  const memoryBefore = process.memoryUsage.rss();
  let underWay = seed;
  const onLost = (reason: unknown): void =>
    void failures.push({ seed: underWay, what: `a promise was lost near here: ${String(reason)}` });
  process.on('unhandledRejection', onLost);
  const began = performance.now();
  let next = 0;
  try {
    await Promise.all(
      Array.from({ length: lanes }, async () => {
        for (let input = next++; input < inputs && failures.length < MOST_FAILURES; input = next++) {
          underWay = seed + input;
          const started = performance.now();
          const { word, wrong } = await tryOne(egress, receiver.url, seed + input, options.patienceMs);
          times[input] = performance.now() - started;
          outcomes[word] = (outcomes[word] ?? 0) + 1;
          failures.push(...wrong.map((what) => ({ seed: seed + input, what })));
          const memory = process.memoryUsage.rss() - memoryBefore;
          if (memory > MOST_MEMORY)
            failures.push({ seed: seed + input, what: `memory: ${memory >> 20} MiB more than before` });
        }
      }),
    );
    // Rejections that nobody handles are told of in a later turn.
    await delay(0);
  } finally {
    process.off('unhandledRejection', onLost);
    own.close();
    await receiver.stop();
  }
  return resultOf(RECEIVER, options, (performance.now() - began) / 1000, outcomes, failures, times);
}

/** What became of one request, and what is wrong with that. */
async function tryOne(egress: Pick<Egress, 'request'>, url: string, seed: number, patienceMs: number) {
  const answer = answerOf(seed);
  const timeoutMs = answer.endless ? ENDLESS_MS : PATIENT_MS;
  const seen: EgressOutcome[] = [];
  const request = async (asked: EgressRequest): Promise<EgressOutcome> => {
    const outcome = await egress.request(asked);
    seen.push(outcome);
    return outcome;
  };
  const method = seed % 2 === 0 ? 'GET' : 'POST';
  const input = { url: `${url}/${seed}`, method, ...(method === 'POST' && { body: 'x' }) } as const;
  const { signal } = new AbortController();
  const context = { idempotencyKey: 'k', attempt: 1, timeoutMs, signal, http: { request }, log: () => undefined };
  const over = new AbortController();
  const result = await Promise.race([
    http.run(input, context).then(
      (output) => ({ output }),
      (thrown: unknown) => ({ thrown }),
    ),
    delay(patienceMs, 'hang' as const, { signal: over.signal }).catch(() => 'hang' as const),
  ]);
  over.abort();
  const about = (what: string): string => `${what}, of ${answer.name}`;
  if (result === 'hang') return { word: 'hang', wrong: [about(`hang: no end after ${patienceMs} ms`)] };
  return { word: wordOf(result), wrong: [...wrongWith(answer, result), ...seen.flatMap(wrongOutcome)].map(about) };
}

const answerOf = (seed: number): HostileAnswer => hostileAnswer(new Random(seed, RECEIVER));

type StepResult = { readonly output: unknown } | { readonly thrown: unknown };

const wordOf = (result: StepResult): string =>
  'output' in result ? 'completed' : result.thrown instanceof StepError ? result.thrown.code : 'broke';

function wrongWith({ truth }: HostileAnswer, result: StepResult): readonly string[] {
  if ('thrown' in result && !(result.thrown instanceof StepError)) return [`the step broke: ${String(result.thrown)}`];
  const output = 'output' in result ? result.output : (result.thrown as StepError).output;
  const wrong: string[] = [];
  try {
    plain(output, 'too large');
  } catch (error) {
    wrong.push(`the output cannot be recorded: ${String(error)}`);
  }
  if (truth.kind === 'cut' && 'output' in result) wrong.push('a success was made of an answer that broke off');
  if (truth.kind === 'whole') {
    const { status, body } = (output ?? {}) as { status?: number; body?: unknown };
    const isGood = truth.status < 300;
    const isSame = status === truth.status && stringifyJson(body ?? null) === stringifyJson(truth.body ?? null);
    if (!isSame || isGood !== 'output' in result)
      wrong.push(
        `an answer did not come through as it is: ${wordOf(result)}, ${JSON.stringify({ status, body })?.slice(0, 200)}`,
      );
  }
  return wrong;
}

/** What holds for every outcome, and what a delivery makes of it. */
function wrongOutcome(outcome: EgressOutcome): readonly string[] {
  const wrong: string[] = [];
  const { kind } = deliveryResult(outcome, new Date());
  if (outcome.kind === 'failed') return kind === 'failed' ? [] : ['a delivery was made of a failure'];
  const { status, headers, body, truncated } = outcome;
  if (!Number.isInteger(status) || status < 100 || status > 999) wrong.push(`the status is ${status}`);
  if (body.length > 256 * 1024) wrong.push(`${body.length} bytes of the answer were kept`);
  const recorded = recordedResponse(status, headers, body, truncated);
  if (Object.values(recorded.headers).some((value) => typeof value !== 'string')) wrong.push('a header is not a text');
  return wrong;
}

/** Answers each request as the number in its path says. */
class Receiver {
  private readonly sockets = new Set<Socket>();
  private constructor(private readonly server: Server) {}

  static async start(): Promise<Receiver> {
    const server = createServer();
    const receiver = new Receiver(server);
    server.on('connection', (socket) => receiver.serve(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket)).on('error', () => undefined);
    let text = '';
    socket.on('data', (data) => {
      text += data.toString('latin1');
      const [whole, seed, headers] = /^\w+ \/(\d+) ([^]*?)\r\n\r\n/.exec(text) ?? [];
      if (whole === undefined) return;
      const length = Number(/^content-length: (\d+)/im.exec(headers!)?.[1] ?? 0);
      if (text.length < whole.length + length) return;
      text = text.slice(whole.length + length);
      void answerOf(Number(seed)).play(socket);
    });
  }
}
