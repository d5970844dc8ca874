import { atLeast, atMost, median, row, type Row, rowsIf } from '../benchmark.js';
import type { DatabaseCounts } from '../measure/bench-postgres.js';
import type { FlowRun } from './drive-flow.js';

/** One round of the rate. */
export interface Round {
  readonly perSecond: number;
  readonly sustainedPerSecond: number;
  readonly ingestPerSecond: number;
  readonly serverMs: number;
  readonly postgresMs: number;
  readonly nodeRedPerSecond?: number;
  readonly nodeRedMs?: number;
}

export interface Rate {
  readonly receivers: number;
  readonly rounds: readonly Round[];
  /** Per event, from the request to the recorded delivery. */
  readonly costs: DatabaseCounts;
  readonly peakMb: number;
  readonly residentMb: number;
  readonly loadShare: number;
  readonly receiverShare: number;
}

export interface Latency {
  readonly rate: number;
  readonly arrival: FlowRun['arrival'];
  readonly nodeRed?: FlowRun['arrival'];
}

const middle = (rounds: readonly Round[], figure: (round: Round) => number | undefined): number =>
  median(rounds.map((round) => figure(round) ?? Number.NaN));

export function rateRows({ receivers, rounds, loadShare, receiverShare }: Rate): readonly Row[] {
  const to = receivers === 1 ? '1 receiver' : `${receivers} receivers`;
  const ratio =
    rounds[0]!.nodeRedPerSecond === undefined
      ? undefined
      : middle(rounds, (round) => round.perSecond / round.nodeRedPerSecond!);
  return [
    ...rowsIf(ratio, (known) => [
      atLeast(`${to}: ratio to Node-RED`, known, 1),
      row(
        `${to}: Node-RED, deliveries/s`,
        middle(rounds, (round) => round.nodeRedPerSecond),
      ),
    ]),
    row(
      `${to}: deliveries/s until all have arrived`,
      middle(rounds, (round) => round.perSecond),
    ),
    row(
      `${to}: deliveries/s during the load`,
      middle(rounds, (round) => round.sustainedPerSecond),
    ),
    row(
      `${to}: requests accepted/s`,
      middle(rounds, (round) => round.ingestPerSecond),
    ),
    atMost(`${to}: load generator, share of a core`, loadShare, 0.5, 2),
    atMost(`${to}: receiver process, share of a core`, receiverShare, 0.5, 2),
  ];
}

export function costRows({ rounds, costs, peakMb }: Rate): readonly Row[] {
  return [
    atMost(
      'per event: CPU of the server, ms',
      middle(rounds, (round) => round.serverMs),
      1,
      2,
    ),
    ...rowsIf(rounds[0]!.nodeRedMs, () => [
      row(
        'per event: CPU of Node-RED, ms',
        middle(rounds, (round) => round.nodeRedMs),
        2,
      ),
    ]),
    row(
      'per event: CPU of PostgreSQL, ms',
      middle(rounds, (round) => round.postgresMs),
      2,
    ),
    ...countRows('per event', costs),
    row('peak memory of the server, MB', peakMb),
  ];
}

/** @param per what they are counted for. */
export const countRows = (per: string, counts: DatabaseCounts): readonly Row[] => [
  row(`${per}: log events`, counts.logEvents, 2),
  row(`${per}: transactions`, counts.transactions, 2),
  row(`${per}: statements`, counts.statements, 2),
  row(
    `${per}: rows inserted, updated, deleted`,
    [counts.inserted, counts.updated, counts.deleted].map((n) => n.toFixed(1)).join(' '),
  ),
  row(`${per}: WAL, KB`, counts.walBytes / 1024, 1),
];

export function latencyRows({ rate, arrival, nodeRed }: Latency): readonly Row[] {
  const isTarget = rate === 200;
  return [
    isTarget
      ? atMost(`latency at ${rate}/s: p50, ms`, arrival.p50, 15, 1)
      : row(`latency at ${rate}/s: p50, ms`, arrival.p50, 1),
    row(`latency at ${rate}/s: p95, ms`, arrival.p95, 1),
    isTarget
      ? atMost(`latency at ${rate}/s: p99, ms`, arrival.p99, 60, 1)
      : row(`latency at ${rate}/s: p99, ms`, arrival.p99, 1),
    ...rowsIf(nodeRed, ({ p50, p99 }) => [
      row(`latency at ${rate}/s: Node-RED, p50 and p99, ms`, `${p50.toFixed(1)} ${p99.toFixed(1)}`),
    ]),
  ];
}
