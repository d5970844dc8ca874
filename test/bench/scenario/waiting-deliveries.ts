import { say } from '../benchmark.js';
import { runLoad } from '../load/load-process.js';
import { ReceiverProcess } from '../load/receiver-process.js';
import { caughtUp } from '../measure/caught-up.js';
import type { BenchPostgres } from '../measure/bench-postgres.js';
import { usageOf } from '../measure/process-usage.js';
import { discard } from './bench-server.js';
import { checkCalls, checkDeliveries, type Faults } from './check-flow.js';
import { arrivals } from './drive-flow.js';
import { WebhookFlow } from './webhook-flow.js';

export interface WaitingResult {
  readonly deliveries: number;
  /** Of the server, when all deliveries are scheduled. */
  readonly waitingMb: number;
  readonly waitingPeakMb: number;
  /** After the receivers answered again and everything was delivered. */
  readonly drainedPeakMb: number;
  readonly drainPerSecond: number;
}

/** The longest time limit that a webhook may have. */
const TIMEOUT_MS = 120_000;

/** All receivers hang while requests keep coming in. Then they answer again, and everything must arrive. */
export async function measureWaiting(
  postgres: BenchPostgres,
  { receivers, deliveries }: { readonly receivers: number; readonly deliveries: number },
  faults: Faults,
): Promise<WaitingResult> {
  const receiver = await ReceiverProcess.start(receivers);
  const databaseUrl = await postgres.createDatabase();
  const flow = await WebhookFlow.start({ databaseUrl, receiver, timeoutMs: TIMEOUT_MS });
  try {
    await receiver.expect(flow.expectations);
    await receiver.take();
    await receiver.hang([...receiver.ports.keys()]);
    const startedAt = new Date().toISOString();
    const { acknowledged } = await runLoad({ port: flow.port, ...flow.pushes, connections: 32, count: deliveries });
    await caughtUp(flow.server);
    const waiting = await usageOf(flow.pid);
    say(`B2 ${deliveries} deliveries wait: ${waiting.residentMb.toFixed(0)} MB, peak ${waiting.peakMb.toFixed(0)} MB`);
    const released = performance.now();
    await receiver.release();
    await arrivals(receiver, acknowledged.length);
    const drainPerSecond = (deliveries / (performance.now() - released)) * 1000;
    await flow.settled();
    const drained = await usageOf(flow.pid);
    const calls = await receiver.take();
    checkCalls(acknowledged, calls, faults);
    checkDeliveries({ acknowledged, calls }, await flow.deliveries(startedAt), flow.webhooks, faults, 'any');
    return {
      deliveries,
      waitingMb: waiting.residentMb,
      waitingPeakMb: waiting.peakMb,
      drainedPeakMb: drained.peakMb,
      drainPerSecond,
    };
  } finally {
    await discard(flow.server);
    await receiver.stop();
    await postgres.drop(databaseUrl);
  }
}
