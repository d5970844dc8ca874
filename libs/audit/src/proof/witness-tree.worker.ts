import type { Egress, EgressOutcome } from '#libs/egress/src/egress.js';
import { appendOnce } from '#libs/event-store/src/append-once.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readLast } from '#libs/event-store/src/reading.js';
import { DEFAULT_ORG, ENGINE } from '#libs/events/src/envelope.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { Transient } from '#libs/kernel/src/errors.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import type { ClaimedWork, WorkDone, Worker } from '#libs/persistence/src/claims/work.js';

import { newestSeal } from './export-log.js';
import { WHOLE_LOG } from './kept-tree.adapter.js';
import type { SealTask } from './seal-tree.worker.js';
import type { SigningKeys } from './signing-keys.js';
import { consistencyProof, type SubtreeHash } from './tree/merkle.js';

export interface WitnessTreeParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly egress: Egress;
  readonly keys: Pick<SigningKeys, 'origin'>;
  readonly subtreesOf: (tree: string) => SubtreeHash;
  /** Submission prefix; absent where no witness is configured: then there is no work. */
  readonly url: string | undefined;
}

const TIMEOUT_MS = 10_000;
/** A witness that is asked by two processes at once may know a newer size each time. */
const TRIES = 3;
const MOST_LINES = 16;
const COSIGNATURE = /^— [^\s+]+ [A-Za-z0-9+/]+={0,2}$/;

/**
 * Gives the newest checkpoint of a tree to a witness (c2sp.org/tlog-witness), which signs it only if it continues from the one
 * that it has signed before, and records the signatures. Done twice, it gets the same signatures again.
 */
export class WitnessTree implements Worker<SealTask> {
  readonly queue = followers.witness;
  readonly concurrency = 1;
  readonly writes = ['log.cosigned'] as const;

  constructor(private readonly parts: WitnessTreeParts) {}

  async run({ payload: { tree }, position }: ClaimedWork<SealTask>, signal: AbortSignal): Promise<WorkDone> {
    const { store, keys, clock, url } = this.parts;
    if (url === undefined) return { position };
    const { size, note } = await newestSeal(store, keys, tree);
    const stream = streams.cosignatures(tree);
    const last = await readLast(store, stream);
    const known = last?.is('log.cosigned') ? last.data.size : 0;
    if (known >= size) return { position: last!.position };
    crashPoint('audit.before-witness');
    const cosignatures = await this.ask(url, tree, { old: known, size, note }, signal);
    crashPoint('audit.after-witness');
    const event = newEvent(
      { type: 'log.cosigned', data: { tree, size, cosignatures: [...cosignatures] } },
      {
        id: uuid5(followers.witness, tree, String(size)),
        orgId: tree === WHOLE_LOG ? DEFAULT_ORG : tree,
        actor: ENGINE,
        now: clock.now(),
        subject: `tree/${tree}`,
      },
    );
    return appendOnce(store, stream, [event], last?.revision ?? 'no-stream');
  }

  private async ask(
    url: string,
    tree: string,
    { old: known, size, note }: { readonly old: number; readonly size: number; readonly note: string },
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    let old = known;
    for (let tries = 0; tries < TRIES; tries++) {
      const hashes = await consistencyProof(old, size, this.parts.subtreesOf(tree));
      const proof = hashes.map((hash) => `${hash.toString('base64')}\n`).join('');
      const outcome = await this.parts.egress.request({
        method: 'POST',
        url: `${url}/add-checkpoint`,
        headers: { 'content-type': 'text/plain; charset=utf-8' },
        body: `old ${old}\n${proof}\n${note}`,
        timeoutMs: TIMEOUT_MS,
        signal,
      });
      if (outcome.kind === 'response' && outcome.status === 200) return linesOf(outcome.body.toString());
      const theirs = sizeOf(outcome);
      if (theirs === undefined) throw refused(outcome);
      if (theirs > size) throw refused(outcome, `it has seen ${theirs} events, and the log has ${size}`);
      old = theirs;
    }
    throw new Transient('audit.witness_refused', 'The witness asks for another size each time.');
  }
}

/** The size of the last checkpoint that the witness has seen, where the one that was given is another. */
function sizeOf(outcome: EgressOutcome): number | undefined {
  if (outcome.kind !== 'response' || outcome.status !== 409) return undefined;
  const text = outcome.body.toString().trim();
  return /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : undefined;
}

function linesOf(body: string): readonly string[] {
  const lines = body.split('\n').filter((line) => line !== '');
  if (lines.length > 0 && lines.length <= MOST_LINES && lines.every((line) => COSIGNATURE.test(line))) return lines;
  throw new Transient('audit.witness_refused', 'The witness answered 200 without a signature line.');
}

function refused(outcome: EgressOutcome, why?: string): Transient {
  const what = outcome.kind === 'response' ? `answered ${outcome.status}` : `was not reached (${outcome.detail})`;
  return new Transient('audit.witness_refused', `The witness ${what}${why === undefined ? '' : `: ${why}`}.`);
}
