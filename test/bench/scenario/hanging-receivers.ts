import { say } from '../benchmark.js';
import { runLoad } from '../load/load-process.js';
import { ReceiverProcess } from '../load/receiver-process.js';
import { caughtUp } from '../measure/caught-up.js';
import type { BenchPostgres } from '../measure/bench-postgres.js';
import { discard } from './bench-server.js';
import { checkCalls, type Faults } from './check-flow.js';
import { arrivals } from './drive-flow.js';
import { WebhookFlow } from './webhook-flow.js';

export interface HangingResult {
  readonly receivers: number;
  readonly hanging: number;
  /** Deliveries per second to the healthy receivers: alone, and beside those that hang. */
  readonly alonePerSecond: number;
  readonly besidePerSecond: number;
  readonly ratio: number;
  readonly delivered: number;
}

/** One receiver in ten hangs. Compares the rate of the others with their rate when only they get deliveries. */
export async function measureHanging(
  postgres: BenchPostgres,
  { receivers, events }: { readonly receivers: number; readonly events: number },
  faults: Faults,
): Promise<HangingResult> {
  const hanging = Math.max(1, Math.round(receivers / 10));
  const receiver = await ReceiverProcess.start(receivers);
  const databaseUrl = await postgres.createDatabase();
  const flow = await WebhookFlow.start({ databaseUrl, receiver });
  try {
    await receiver.expect(flow.expectations);
    const healthy = Array.from({ length: receivers - hanging }, (_, port) => port);
    const { path, id, variants } = flow.pushes;
    let delivered = 0;
    const rate = async (ports: number, count: number): Promise<number> => {
      await receiver.take();
      const some = variants.slice(0, ports);
      const { load, acknowledged } = await runLoad({
        port: flow.port,
        path,
        id,
        variants: some,
        connections: 32,
        count,
      });
      const mine = acknowledged.filter(({ variant }) => variant < healthy.length);
      await arrivals(receiver, mine.length, healthy);
      const calls = (await receiver.take()).filter(({ port }) => port < healthy.length);
      checkCalls(mine, calls, faults);
      delivered += mine.length;
      return (mine.length / (Math.max(...calls.map(({ at }) => at)) - load.start)) * 1000;
    };
    await rate(healthy.length, Math.ceil(events / 5));
    await flow.settled();
    const alonePerSecond = await rate(healthy.length, events);
    await flow.settled();
    await receiver.hang(Array.from({ length: hanging }, (_, n) => healthy.length + n));
    const besidePerSecond = await rate(receivers, Math.ceil((events * receivers) / healthy.length));
    await caughtUp(flow.server);
    say(
      `B2 ${hanging} of ${receivers} hang: ${besidePerSecond.toFixed(0)}/s to the others, ${alonePerSecond.toFixed(0)}/s alone`,
    );
    const ratio = besidePerSecond / alonePerSecond;
    return { receivers, hanging, alonePerSecond, besidePerSecond, ratio, delivered };
  } finally {
    await discard(flow.server);
    await receiver.stop();
    await postgres.drop(databaseUrl);
  }
}
