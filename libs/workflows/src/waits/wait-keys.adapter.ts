import type { DataSource } from 'typeorm';

import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readAt } from '#libs/event-store/src/reading.js';
import type { ViewTransaction } from '#libs/event-store/src/subscriber.js';
import { typeMatcher } from '#libs/events/src/patterns.js';
import type { Path } from '#libs/expressions/src/path.js';
import { parseAsWritten, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { Place } from './wait-index.js';
import { type Between, hashOf, type KeyedEvent, keyFor, type Shape, WaitKeys } from './wait-keys.js';
import type { LookBack } from './wait-rows.js';

/** A shape, and after which position its events have keys. */
type Known = Shape & { since: bigint };

const PAGE = 200;

/** In the order of the log; each key is one range of the index. */
export const LOOK_UP = `
  select k.position, k.stream, k.revision
    from unnest($1::integer[], $2::uuid[]) as w (shape, key)
   cross join lateral (
     select position, stream, revision from views.wait_keys
      where shape = w.shape and key = w.key and position > $3 and position < $4
      order by position limit ${PAGE}
   ) as k
   order by k.position limit ${PAGE}`;

/** Keys in PostgreSQL. */
export class StoredWaitKeys extends WaitKeys {
  private readonly shapes = new Map<string, Known>();
  private byType = new Map<string, readonly Known[]>();
  private noted: KeyedEvent[] = [];
  private changed = new Set<Known>();

  constructor(
    private readonly database: DataSource,
    private readonly store: EventStore,
    private readonly past: Pick<LookBack, 'between'>,
  ) {
    super();
  }

  async load(): Promise<void> {
    this.shapes.clear();
    this.byType.clear();
    this.noted = [];
    this.changed.clear();
    const rows = await this.database.query<
      { id: number; org_id: string; pattern: string; paths: string; since: string }[]
    >('select id, org_id, pattern, paths, since from views.wait_shapes where since is not null');
    for (const { id, org_id: orgId, pattern, paths, since } of rows)
      this.know({ id, orgId, pattern, paths: parseAsWritten(paths) as readonly Path[], since: BigInt(since) });
  }

  note(event: RecordedEvent): void {
    if (this.shapes.size === 0) return;
    let shapes = this.byType.get(event.type);
    if (!shapes) {
      shapes = [...this.shapes.values()].filter(({ pattern }) => typeMatcher([pattern])(event.type));
      this.byType.set(event.type, shapes);
    }
    for (const shape of shapes) {
      const keyed = keyFor(shape, event);
      if (keyed) this.noted.push(keyed);
    }
  }

  async *find(places: readonly Place[], span: Between): AsyncIterable<readonly RecordedEvent[]> {
    const wanted: { readonly shape: number; readonly key: string }[] = [];
    for (const place of places) {
      const shape = await this.covering(place, span);
      wanted.push({ shape: shape.id, key: hashOf(place.key) });
    }
    const shapes = wanted.map(({ shape }) => shape);
    const keys = wanted.map(({ key }) => key);
    for (let { after } = span; ;) {
      const rows = await this.database.query<{ position: string; stream: string; revision: string }[]>(LOOK_UP, [
        shapes,
        keys,
        String(after),
        String(span.before),
      ]);
      yield await this.read(rows.map(({ stream, revision }) => ({ stream, revision: BigInt(revision) })));
      if (rows.length < PAGE) break;
      after = BigInt(rows.at(-1)!.position);
    }
    // What has been handled since the last commit.
    const isWanted = (one: KeyedEvent) =>
      one.position > span.after &&
      one.position < span.before &&
      wanted.some(({ shape, key }) => shape === one.shape && key === one.key);
    yield await this.read(this.noted.filter(isWanted));
  }

  get hasNews(): boolean {
    return this.noted.length + this.changed.size > 0;
  }

  save(tx: ViewTransaction): void {
    if (this.noted.length > 0) tx.write(INSERT, columns(this.noted));
    for (const { id, since } of this.changed)
      tx.write('update views.wait_shapes set since = $2 where id = $1', [id, String(since)]);
    this.noted = [];
    this.changed.clear();
  }

  /** A shape of which all events of the span have keys. */
  private async covering({ pattern, paths }: Place, { orgId, after, before }: Between): Promise<Known> {
    const text = stringifyJson(paths);
    let shape = this.shapes.get(nameOf({ orgId, pattern, paths }));
    if (shape && shape.since <= after) return shape;
    const upTo = shape ? shape.since : before - 1n;
    if (!shape) {
      const [row] = await this.database.query<{ id: number }[]>(
        `insert into views.wait_shapes (org_id, pattern, paths) values ($1, $2, $3)
         on conflict (org_id, pattern, paths) do update set pattern = excluded.pattern returning id`,
        [orgId, pattern, text],
      );
      shape = { id: row!.id, orgId, pattern, paths, since: after };
    }
    // Entered before it is said that they are: who repeats this enters them again, and nothing changes.
    for await (const events of this.past.between({ orgId, types: [pattern], after, upTo })) {
      const keyed = events.flatMap((event) => keyFor(shape, event) ?? []);
      if (keyed.length > 0) await this.database.query(INSERT, columns(keyed));
    }
    shape.since = after;
    this.know(shape);
    this.changed.add(shape);
    return shape;
  }

  private know(shape: Known): void {
    this.shapes.set(nameOf(shape), shape);
    this.byType.clear();
  }

  private async read(places: readonly { readonly stream: string; readonly revision: bigint }[]) {
    const events = await Promise.all(places.map(({ stream, revision }) => readAt(this.store, stream, revision)));
    return events.filter((event) => event !== undefined);
  }
}

const INSERT = `insert into views.wait_keys (shape, key, position, stream, revision)
  select * from unnest($1::integer[], $2::uuid[], $3::bigint[], $4::text[], $5::bigint[]) on conflict do nothing`;

const columns = (keyed: readonly KeyedEvent[]): readonly unknown[][] => [
  keyed.map(({ shape }) => shape),
  keyed.map(({ key }) => key),
  keyed.map(({ position }) => String(position)),
  keyed.map(({ stream }) => stream),
  keyed.map(({ revision }) => String(revision)),
];

const nameOf = ({ orgId, pattern, paths }: Omit<Shape, 'id'>): string => stringifyJson([orgId, pattern, paths]);
