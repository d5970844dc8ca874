import { catalogue } from '#libs/events/src/catalogue.js';
import { streams } from '#libs/events/src/streams.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import type { TestServer } from '../../support/server.js';
import { atMost, type Report, row, say } from '../benchmark.js';
import { BenchPostgres, query } from '../measure/bench-postgres.js';
import { caughtUp } from '../measure/caught-up.js';
import { usageOf } from '../measure/process-usage.js';
import { discard, startServer } from './bench-server.js';
import { Faults } from './check-flow.js';
import { copyStream } from './grow-log.js';
import { inLanes } from './webhook-flow.js';

export interface ListeningPlan {
  readonly listening: number;
  readonly events: number;
  readonly rounds: number;
}

const WORKFLOW = `
name: listener
triggers: [{ type: manual }]
steps:
  - { id: answer, waitForEvent: { event: comment.created, when: data.comment.body && data.comment.id == run.id } }
outputs: { by: '\${{ steps.answer.output.data.comment.id }}' }
`;
/** As much as two alternating measurements of the same differ. */
const NOISE = 1.1;

interface Run {
  readonly id: string;
  readonly status: string;
  readonly outputs?: object;
}
interface Side {
  server: TestServer;
  readonly databaseUrl: string;
  readonly postgres: BenchPostgres;
  readonly template: string;
}

/** A server with so many runs that wait for an event; restarted, so that its memory is not that of earlier work. */
async function sideWith(count: number): Promise<Side> {
  const postgres = await BenchPostgres.start();
  const databaseUrl = await postgres.createDatabase();
  const server = await startServer(databaseUrl);
  await server.call('PUT', '/api/v1/workflows/listener', { source: WORKFLOW });
  const { id: template } = await server.post<Run>('/api/v1/workflows/listener/runs', { inputs: {} });
  await waitFor(
    'the run to wait',
    async () => (await server.get<Run>(`/api/v1/runs/${template}`)).status === 'waiting',
  );
  if (count > 1) await copyStream(databaseUrl, streams.run(template), count - 1);
  await caughtUp(server);
  await server.stop();
  const side = { server: await startServer(databaseUrl), databaseUrl, postgres, template };
  await caughtUp(side.server);
  await query(databaseUrl, 'vacuum analyze');
  return side;
}

const { example } = catalogue['comment.created'];
const comment = ({ server }: Side, id: string) =>
  server.post('/api/v1/events', {
    type: 'comment.created',
    source: 'bench',
    subject: 'repository/acme/app',
    data: { ...example, deliveryId: id, comment: { ...example.comment, id } },
  });

/** CPU milliseconds of server and database for each event. */
async function costOf(side: Side, events: number): Promise<number> {
  const { server, postgres } = side;
  const spent = async () => (await usageOf(server.child.pid!)).seconds + (await postgres.processorSeconds());
  const before = await spent();
  await inLanes(
    Array.from({ length: events }, (_, n) => n),
    8,
    async (n) => void (await comment(side, `nobody-${n}`)),
  );
  await caughtUp(server);
  return ((await spent()) - before) * (1000 / events);
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

export async function listening({ listening: count, events, rounds }: ListeningPlan): Promise<Report> {
  const faults = new Faults();
  say(`B8 letting ${count} runs wait for an event`);
  const [one, many] = [await sideWith(1), await sideWith(count)];
  try {
    const open = await query<{ count: string }>(many.databaseUrl, 'select count(*) as count from views.run_waits');
    if (Number(open[0]!.count) !== count) faults.add('waits that are not open', open[0]!.count);
    const [alone, together] = [await usageOf(one.server.child.pid!), await usageOf(many.server.child.pid!)];
    for (const side of [one, many]) await costOf(side, events);
    const costs: { one: number; many: number }[] = [];
    for (let round = 0; round < rounds; round++)
      costs.push({ one: await costOf(one, events), many: await costOf(many, events) });
    // The wait of each run is still found.
    await comment(many, many.template);
    const ended = await waitFor('the run to end', async () => {
      const found = await many.server.get<Run>(`/api/v1/runs/${many.template}`);
      return found.status === 'completed' && found;
    });
    if (ended.outputs === undefined) faults.add('runs without their event', ended.id);
    const left = await query<{ count: string }>(many.databaseUrl, 'select count(*) as count from views.run_waits');
    if (Number(left[0]!.count) !== count - 1) faults.add('waits that an unrelated event ended', left[0]!.count);

    const ratio = median(costs.map((each) => each.many / each.one));
    const bytesEach = ((together.residentMb - alone.residentMb) * 2 ** 20) / count;
    return {
      rows: [
        row('1 waits for an event: CPU per unrelated event, ms', median(costs.map((each) => each.one)), 2),
        row(`${count} wait for an event: CPU per unrelated event, ms`, median(costs.map((each) => each.many)), 2),
        atMost('ratio', ratio, NOISE, 2),
        atMost('memory of the server per run that waits for an event, bytes', bytesEach, 1024),
      ],
      verified: `${rounds * events} unrelated events of the type ended no wait of ${count}, and the one that was meant ended its own`,
      faults: faults.list,
      result: { costs, bytesEach },
    };
  } finally {
    for (const { server, databaseUrl, postgres } of [one, many]) {
      await discard(server);
      await postgres.drop(databaseUrl);
      await postgres.stop();
    }
  }
}
