import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { PastKind, PastThing, Shown } from '#libs/event-store/src/past-kind.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import type { FieldDifference, PastChange, ThingDifference } from '#libs/events/src/shapes/audit/as-of-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { canonicalJson, pointerToken } from '#libs/kernel/src/json.js';

import type { Past } from './past.js';

/** Most changes of one difference. */
export const MOST_CHANGES = 2_000;

export interface DifferenceOptions {
  /** Kinds that the difference is about. */
  readonly kinds: readonly PastKind[];
  /** Kinds whose things act: the difference names them. */
  readonly actors: readonly PastKind[];
  readonly from: bigint;
  readonly to: bigint;
  readonly isSeen: (kind: PastKind, thing: PastThing) => boolean;
}

/** What changed after one place up to another one, by thing, and who did it. */
export async function differenceBetween(
  past: Past,
  { kinds, actors, from, to, isSeen }: DifferenceOptions,
): Promise<readonly ThingDifference[]> {
  const followed = [...new Set([...kinds, ...actors])];
  const states = new Map<PastKind, Map<string, PastThing>>();
  for (const kind of followed) states.set(kind, new Map(await past.things(kind, from)));
  const found = new Map<string, Story>();
  let count = 0;
  for await (const event of past.events(followed, { after: from, upTo: to }))
    for (const kind of followed) {
      const things = states.get(kind)!;
      const after = kind.after(event, (id) => things.get(id));
      if (!after) continue;
      const before = things.get(after.id);
      const actorName = nameOf(event.metadata.actor, states);
      things.set(after.id, after);
      if (after === before || !kinds.includes(kind) || !isSeen(kind, after)) continue;
      count += 1;
      if (count > MOST_CHANGES) throw tooMany();
      const [was, is] = [before && kind.show(before), kind.show(after)];
      const key = `${kind.name} ${after.id}`;
      const story = found.get(key) ?? { kind, before: was, after: is, label: was, changes: [] };
      story.changes.push(changeOf(event, actorName, fieldDifferences(was, is)));
      found.set(key, { ...story, after: is, label: is ?? story.label });
    }
  return [...found.values()].map(({ kind, before, after, label, changes }) => ({
    kind: kind.name,
    key: textOr(label?.[kind.key], ''),
    name: textOr(label?.['name'], null),
    change: before ? (after ? 'changed' : 'removed') : after ? 'created' : 'passed',
    fields: [...fieldDifferences(before, after)],
    changes,
  }));
}

const textOr = <T>(value: unknown, other: T): string | T => (typeof value === 'string' ? value : other);

/** What happened to one thing. */
interface Story {
  readonly kind: PastKind;
  readonly before: Shown | undefined;
  readonly after: Shown | undefined;
  /** As it was last, if it is gone. */
  readonly label: Shown | undefined;
  readonly changes: PastChange[];
}

const tooMany = (): Rejected =>
  new Rejected(
    'invalid',
    'as_of.too_many_changes',
    `There are more than ${MOST_CHANGES} changes. Move from and to closer together, or name kinds.`,
    { problems: [{ pointer: '/from', detail: `Must leave at most ${MOST_CHANGES} changes up to to.` }] },
  );

const changeOf = (
  { id, type, position, metadata: { actor, timestamp } }: RecordedEvent,
  actorName: string | undefined,
  fields: readonly FieldDifference[],
): PastChange => ({
  position: String(position),
  eventId: eventIdOf(id),
  type,
  at: timestamp,
  actor,
  actorName: actorName ?? null,
  fields: [...fields],
});

/** The name that an actor had then: `token/tok_…` is a token, `rule/rul_…` a rule. */
function nameOf(actor: string, states: ReadonlyMap<PastKind, ReadonlyMap<string, PastThing>>): string | undefined {
  const [thing, id = ''] = actor.split('/', 2);
  for (const [kind, things] of states) {
    const known = kind.thing === thing ? things.get(id) : undefined;
    const name = known && kind.show(known)?.['name'];
    if (typeof name === 'string') return name;
  }
  return undefined;
}

/** The changes say who it was, and when. */
const TOLD_ELSEWHERE = new Set(['createdAt', 'createdBy', 'updatedAt', 'updatedBy']);

/** Field by field, by JSON pointer; lists are compared as a whole. What was not there is absent. */
export function fieldDifferences(before: Shown | undefined, after: Shown | undefined): readonly FieldDifference[] {
  const found: FieldDifference[] = [];
  const compare = (pointer: string, one: unknown, other: unknown): void => {
    if (isPlain(one) && isPlain(other)) {
      for (const key of new Set([...Object.keys(one), ...Object.keys(other)]))
        compare(`${pointer}/${pointerToken(key)}`, one[key], other[key]);
      return;
    }
    if (one !== undefined && other !== undefined && canonicalJson(one) === canonicalJson(other)) return;
    if (one === undefined && other === undefined) return;
    found.push({ pointer, ...(one !== undefined && { before: one }), ...(other !== undefined && { after: other }) });
  };
  for (const key of new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})]))
    if (!TOLD_ELSEWHERE.has(key)) compare(`/${pointerToken(key)}`, before?.[key], after?.[key]);
  return found;
}

const isPlain = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.getPrototypeOf(value) === Object.prototype;
