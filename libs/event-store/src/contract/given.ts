import { uuid7 } from '#libs/kernel/src/ids.js';

import {
  type AllPage,
  type EventStore,
  type EventToAppend,
  type ReadAllOptions,
  type RecordedEvent,
} from '../event-store.js';

/** Events and names for the contract's tests. Each test has streams of its own, since a real server's log is shared. */

const METADATA = JSON.stringify({
  ...{
    source: 'millrace',
    subject: '',
    orgId: 'org_contract',
    timestamp: '2026-11-20T13:14:15.123Z',
    actor: 'millrace',
  },
  ...{ $correlationId: uuid7(), hop: 0, schemaVersion: 1 },
});

export const anEvent = (more: Partial<EventToAppend> = {}): EventToAppend => ({
  id: uuid7(),
  type: 'thing.happened',
  data: '{"n":1}',
  metadata: METADATA,
  ...more,
});

export const someEvents = (count: number, more: Partial<EventToAppend> = {}): EventToAppend[] =>
  Array.from({ length: count }, (_, n) => anEvent({ data: JSON.stringify({ n }), ...more }));

/** A prefix of stream names that nobody else has. */
export const aPrefix = (): string => `contract-${uuid7()}-`;
export const aStream = (): string => `${aPrefix()}stream`;

export const idsOf = (events: readonly { id: string }[]): string[] => events.map(({ id }) => id);
export const revisionsOf = (events: readonly RecordedEvent[]): bigint[] => events.map(({ revision }) => revision);

/** All pages, following `position` as a reader must. */
export async function readPages(store: EventStore, options: ReadAllOptions): Promise<AllPage[]> {
  const pages = [await store.readAll(options)];
  const { from: _, ...rest } = options;
  while (!pages.at(-1)!.end) pages.push(await store.readAll({ ...rest, after: pages.at(-1)!.position }));
  return pages;
}

export async function readEverything(
  store: EventStore,
  options: Omit<ReadAllOptions, 'limit'> & { readonly limit?: number },
): Promise<RecordedEvent[]> {
  return (await readPages(store, { limit: 200, ...options })).flatMap(({ events }) => events);
}

/** How a promise ended, without throwing. */
export async function outcomeOf<T>(promise: Promise<T>): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await promise };
  } catch (error) {
    return { error };
  }
}
