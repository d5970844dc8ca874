import type { DataSource } from 'typeorm';

import { Keyring } from '#libs/access/src/secrets/keyring.js';
import { PostgresSecrets } from '#libs/access/src/secrets/secrets.adapter.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { EventIndex } from '#libs/event-index/src/event-index.projection.js';
import { followers } from '#libs/events/src/followers.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { silentLog } from '#libs/kernel/src/log.js';
import { PostgresWorkQueue } from '#libs/persistence/src/claims/work-queue.adapter.js';

import { Follower } from '../../persistence/testing/follower.js';
import { CheckpointFile } from '../src/proof/checkpoint-file.adapter.js';
import { loadTrees, WHOLE_LOG } from '../src/proof/kept-tree.adapter.js';
import { SealLog } from '../src/proof/seal-log.subscriber.js';
import { SealTree } from '../src/proof/seal-tree.worker.js';
import { SigningKeys } from '../src/proof/signing-keys.js';
import { type Verification, verifyLog, type VerifyRequest } from '../src/proof/verify-log.js';

export const SEAL_EVERY = 300_000;

/** A log whose trees are kept and sealed, step by step. */
export class SealedLog {
  readonly follower: Follower;
  readonly clock = new FixedClock(new Date());
  readonly keys: SigningKeys;
  readonly subscriber: SealLog;
  private keeping = Promise.resolve();

  constructor(
    readonly store: EventStore,
    readonly database: DataSource,
    readonly file?: string,
    readonly witnessUrl?: string,
  ) {
    this.follower = new Follower(store, database);
    this.keys = this.newKeys();
    this.subscriber = new SealLog(new PostgresWorkQueue(database), this.keys, {
      sealEvery: SEAL_EVERY,
      witnessUrl: this.witnessUrl,
    });
  }

  /** As another process has them. */
  newKeys(): SigningKeys {
    return new SigningKeys(this.store, new PostgresSecrets(this.database, new Keyring([Buffer.alloc(32, 1)])));
  }

  /** Each in a stream of its own, as most are. */
  async append(count: number, orgId = 'org_1'): Promise<void> {
    for (let n = 0; n < count; n += 500) {
      const events = Array.from({ length: Math.min(500, count - n) }, (_, index) =>
        newEvent(
          { type: 'thing.happened', data: { n: n + index, text: 'é' } },
          { id: uuid7(), orgId, actor: 'test', now: this.clock.now() },
        ),
      );
      await this.store.append(`things-${uuid7()}`, events, 'no-stream');
    }
  }

  /** One at a time, as the runner. */
  keep(): Promise<void> {
    return (this.keeping = this.keeping.then(async () => {
      await this.follower.run(this.subscriber);
      await this.follower.run(new EventIndex());
    }));
  }

  worker(keys = this.keys): SealTree {
    return new SealTree({
      store: this.store,
      clock: this.clock,
      progress: { whenProcessed: () => this.keep() },
      keys,
      treeOf: (name) => this.tree(name),
      file: this.file === undefined ? undefined : new CheckpointFile(this.file),
      log: silentLog,
    });
  }

  /** Waits until a checkpoint is due, and makes it. */
  async seal(tree = WHOLE_LOG, worker = this.worker()): Promise<void> {
    await this.keep();
    this.clock.advance(SEAL_EVERY + 1_000);
    await worker.run({
      queue: worker.queue,
      key: tree,
      dueAt: this.clock.now(),
      payload: { tree },
      position: 0n,
      claims: 1,
    });
    await this.keep();
  }

  /** @param store the same log, opened again: as it is stored now. */
  async verify(request: Partial<VerifyRequest> = {}, store = this.store): Promise<Verification> {
    const { database, keys } = this;
    const progress = { whenProcessed: () => Promise.resolve() };
    const steps = verifyLog(
      { store, database, progress, keys, events: new EventReader(database, store, progress) },
      { tree: WHOLE_LOG, signal: new AbortController().signal, ...request },
    );
    for (;;) {
      const { done, value } = await steps.next();
      if (done === true) return value;
    }
  }

  async tree(name = WHOLE_LOG) {
    return (await loadTrees(this.database, [name])).get(name);
  }

  async events(): Promise<readonly RecordedEvent[]> {
    return (await this.store.readAll({ limit: 100_000 })).events;
  }

  /** The checkpoints of all trees, in order. */
  async seals() {
    return (await this.events()).flatMap((event) => (event.is('log.sealed') ? [event.data] : []));
  }

  /** The rows of work: which trees are to be sealed. */
  async due(): Promise<readonly { readonly key: string; readonly due_at: Date }[]> {
    return this.database.query('select key, due_at from views.work where queue = $1 order by key', [followers.seal]);
  }
}
