import { Inject, Injectable } from '@nestjs/common';

import { typesOf } from '#libs/event-store/src/command-handlers.js';
import { EventStore, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import type { Subscriber } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';

import { Secrets } from '../secrets/secrets.js';
import { namedSecret } from './named-secret.js';
import { keptReferences } from './secret-values.js';

/** Deletes values that are kept no longer: of a removed secret all. Safe twice: the stream says which they are. */
@Injectable()
export class ForgetSecrets implements Subscriber {
  readonly name = followers.forgetSecrets;
  readonly reads = typesOf(namedSecret);
  readonly writes = [];

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Secrets) private readonly secrets: Secrets,
  ) {}

  async handle(events: readonly RecordedEvent[]): Promise<void> {
    const ids = new Set(events.flatMap((event) => (event.is(...this.reads) ? [event.data.secretId] : [])));
    for (const id of ids) {
      const life = await readWhole(this.store, streams.secret(id));
      const kept = keptReferences(life.toReversed());
      const gone = life.flatMap((event) =>
        event.is('secret.set') && !kept.includes(event.data.secret) ? [event.data.secret] : [],
      );
      crashPoint('access.before-forget');
      await this.secrets.remove(gone);
      crashPoint('access.after-forget');
    }
  }
}
