import { type Author, slice, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import type { EventDraft } from '#libs/event-store/src/new-event.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';

/** A redelivery asked for by hand: `unknown` until it is asked for, and then `requested` permanently. */
export type Redelivery = { readonly kind: 'unknown' } | { readonly kind: 'requested'; readonly redeliveryOf: string };

/** The id is that of the new delivery. */
export class RequestRedelivery extends ThingCommand<Redelivery> {
  constructor(
    id: string,
    author: Author,
    readonly redeliveryOf: string,
  ) {
    super(id, author);
  }
}

export const redelivery = slice<Redelivery>()({
  name: 'delivery',
  stream: streams.redelivery,
  initial: { kind: 'unknown' },
  evolve: {
    'delivery.redelivery_requested': (_, { redeliveryOf }) => ({ kind: 'requested', redeliveryOf }),
  },
});

/** Asks once: an `Idempotency-Key` that is used again asks for nothing new. */
export function requestRedelivery(
  state: Redelivery,
  { id, redeliveryOf }: RequestRedelivery,
): readonly EventDraft<'delivery.redelivery_requested'>[] {
  if (state.kind === 'unknown')
    return [{ type: 'delivery.redelivery_requested', data: { deliveryId: id, redeliveryOf } }];
  if (state.redeliveryOf === redeliveryOf) return [];
  throw new Rejected(
    'conflict',
    'delivery.key_used',
    'This Idempotency-Key was used to redeliver another delivery. Use a new key.',
  );
}
