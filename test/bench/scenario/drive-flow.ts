import { setTimeout as delay } from 'node:timers/promises';

import { percentile } from '../benchmark.js';
import { type Acknowledged, type IdPlace, type Load, runLoad, type Variant } from '../load/load-process.js';
import type { Call, Expectation, ReceiverProcess } from '../load/receiver-process.js';
import { usageOf } from '../measure/process-usage.js';

/** A program that accepts webhooks and passes them on: Millrace or a baseline. */
export interface FlowTarget {
  readonly pid: number;
  readonly port: number;
  /** How its deliveries are signed, by the receiver's port. */
  readonly expectations: readonly Expectation[];
  /** Resolves when everything accepted has been processed. */
  settled(): Promise<void>;
}

/** The requests of one sender to a target. */
export interface Requests {
  readonly path: string;
  readonly id: IdPlace;
  readonly variants: readonly Variant[];
}

export interface Pace {
  readonly connections: number;
  readonly count?: number;
  readonly seconds?: number;
  readonly rate?: number;
}

export interface FlowRun {
  /** RFC 3339, before the first request. */
  readonly startedAt: string;
  readonly load: Load;
  readonly acknowledged: readonly Acknowledged[];
  readonly calls: readonly Call[];
  /** Deliveries per second, from the first request to the last arrival. */
  readonly perSecond: number;
  /** Deliveries per second while requests came in. */
  readonly sustainedPerSecond: number;
  /** Milliseconds from the time a request was due to the arrival of its delivery. */
  readonly arrival: { readonly p50: number; readonly p95: number; readonly p99: number };
  /** CPU seconds of the target until everything was processed. */
  readonly processorSeconds: number;
  readonly residentMb: number;
  readonly peakMb: number;
  /** Of one core, by the receiver. */
  readonly receiverShare: number;
}

/** After so long without an arrival, what is missing is given up and reported. */
const PATIENCE_MS = 120_000;

/** Waits until `wanted` calls have arrived at the ports (default: all), or no more arrive. */
export async function arrivals(receiver: ReceiverProcess, wanted: number, ports?: readonly number[]): Promise<void> {
  const arrived = async () => {
    const { count, ofPorts } = await receiver.count();
    return ports === undefined ? count : ports.reduce((sum, port) => sum + (ofPorts[port] ?? 0), 0);
  };
  let last = -1;
  let lastAt = Date.now();
  for (;;) {
    const count = await arrived();
    if (count >= wanted) return;
    if (count > last) [last, lastAt] = [count, Date.now()];
    else if (Date.now() - lastAt > PATIENCE_MS) return;
    await delay(20);
  }
}

/** Sends requests to a target and collects what arrives at the receiver, until everything is processed. */
export async function driveFlow(
  target: FlowTarget,
  receiver: ReceiverProcess,
  { path, id, variants }: Requests,
  pace: Pace,
): Promise<FlowRun> {
  await receiver.take();
  await receiver.expect(target.expectations);
  const [before, receiverBefore] = [await usageOf(target.pid), await receiver.processorSeconds()];
  const startedAt = new Date().toISOString();
  const { load, acknowledged } = await runLoad({ port: target.port, path, id, variants, ...pace });
  await arrivals(receiver, acknowledged.length);
  const receiverSeconds = (await receiver.processorSeconds()) - receiverBefore;
  await target.settled();
  const after = await usageOf(target.pid);
  // Only now: duplicates and unrequested calls have had time to arrive.
  const calls = await receiver.take();
  const last = calls.reduce((latest, { at }) => Math.max(latest, at), load.start);
  const times = new Map(acknowledged.map(({ id, at }) => [id, at]));
  const waits = calls
    .flatMap(({ deliveryId, at }) => {
      const sent = times.get(deliveryId ?? '');
      return sent === undefined ? [] : [at - sent];
    })
    .sort((a, b) => a - b);
  return {
    startedAt,
    load,
    acknowledged,
    calls,
    perSecond: (calls.length / (last - load.start)) * 1000,
    sustainedPerSecond: (calls.filter(({ at }) => at <= load.end).length / (load.end - load.start)) * 1000,
    arrival: { p50: percentile(waits, 0.5), p95: percentile(waits, 0.95), p99: percentile(waits, 0.99) },
    processorSeconds: after.seconds - before.seconds,
    residentMb: after.residentMb,
    peakMb: after.peakMb,
    receiverShare: receiverSeconds / ((last - load.start) / 1000),
  };
}
