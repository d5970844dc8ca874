import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { platformEvent } from '#libs/event-store/src/event-store.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import type { Cause } from '#libs/events/src/envelope.js';
import { typeMatcher } from '#libs/events/src/patterns.js';
import { compile } from '#libs/expressions/src/compile.js';
import { conjoinedEqualities, type Equality, isScalar, type Path, valueAt } from '#libs/expressions/src/path.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import type { Uuid } from '#libs/kernel/src/ids.js';
import { scalarKey, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

/** A wait for an event that has not come yet. */
export interface Wait {
  readonly id: Uuid;
  readonly orgId: string;
  /** Where it began in the log: the earliest wait of a run is answered first. */
  readonly position: bigint;
  readonly cause: Cause;
  readonly data: DataOf<'run.wait_begun'>;
}

/** A wait that an event fits. */
export interface Fitting {
  readonly wait: Wait;
  readonly choice: number;
}

/** One wait by itself: most keys have one, and a set takes more memory than the wait. */
type Several = Map<string, Wait | Set<Wait>>;

/** Waits that are looked up by the values that an event has at some paths; without paths, all of them are looked at. */
interface Group {
  readonly paths: readonly Path[];
  readonly byKey: Several;
}

/** Most event types whose patterns are remembered. */
const MAX_REMEMBERED = 10_000;

/**
 * Open waits by what an event must have: its type, and the values that `when` compares (`… && data.x == event.data.y && …`).
 * However many runs wait, an event that none of them waits for costs a few look-ups.
 */
export class WaitIndex {
  private readonly waits = new Map<Uuid, Wait>();
  private readonly byRun: Several = new Map();
  /** By pattern of types, then by paths. */
  private readonly patterns = new Map<string, Map<string, Group>>();
  /** Runs of one version wait for the same: what they say is kept once. */
  private readonly said = new BoundedMap<string, Wait['data']['choices']>(MAX_REMEMBERED);
  private readonly patternsOf = new BoundedMap<string, readonly string[]>(MAX_REMEMBERED);

  get size(): number {
    return this.waits.size;
  }

  clear(): void {
    this.waits.clear();
    this.byRun.clear();
    this.patterns.clear();
    this.patternsOf.clear();
    this.said.clear();
  }

  add(given: Wait): void {
    if (this.waits.has(given.id)) return;
    const wait = { ...given, data: { ...given.data, choices: this.shared(given.data.choices) } };
    this.waits.set(wait.id, wait);
    put(this.byRun, wait.data.runId, wait);
    for (const { pattern, paths, key } of placesOf(wait)) {
      let groups = this.patterns.get(pattern);
      if (!groups) {
        this.patterns.set(pattern, (groups = new Map<string, Group>()));
        this.patternsOf.clear();
      }
      const pathsKey = stringifyJson(paths);
      let group = groups.get(pathsKey);
      if (!group) groups.set(pathsKey, (group = { paths, byKey: new Map() }));
      put(group.byKey, key, wait);
    }
  }

  remove(id: Uuid): boolean {
    const wait = this.waits.get(id);
    if (!wait) return false;
    this.waits.delete(id);
    drop(this.byRun, wait.data.runId, wait);
    for (const { pattern, paths, key } of placesOf(wait)) {
      const groups = this.patterns.get(pattern);
      const group = groups?.get(stringifyJson(paths));
      if (!groups || !group) continue;
      drop(group.byKey, key, wait);
      if (group.byKey.size === 0) groups.delete(stringifyJson(paths));
      if (groups.size > 0) continue;
      this.patterns.delete(pattern);
      this.patternsOf.clear();
    }
    return true;
  }

  ofRun(runId: string): readonly Wait[] {
    return [...at(this.byRun, runId)];
  }

  /** Waits that an event fits, by run, the earliest of each run first. */
  fitting(event: RecordedEvent): ReadonlyMap<string, readonly Fitting[]> {
    const found = new Map<string, Fitting[]>();
    const seen = new Set<Wait>();
    for (const wait of this.candidates(event)) {
      if (seen.has(wait)) continue;
      seen.add(wait);
      const choice = choiceOf(wait, event);
      if (choice === undefined) continue;
      const { runId } = wait.data;
      const list = found.get(runId);
      if (list) list.push({ wait, choice });
      else found.set(runId, [{ wait, choice }]);
    }
    for (const list of found.values()) list.sort((a, b) => (a.wait.position < b.wait.position ? -1 : 1));
    return found;
  }

  private *candidates(event: RecordedEvent): Generator<Wait> {
    if (this.patterns.size === 0) return;
    const patterns = this.patternsFor(event.type);
    if (patterns.length === 0) return;
    const shown = platformEvent(event);
    for (const pattern of patterns)
      for (const { paths, byKey } of this.patterns.get(pattern)!.values()) {
        const key = keyOf(paths.map((path) => valueAt(path, shown)));
        if (key !== undefined) yield* at(byKey, key);
      }
  }

  private shared(choices: Wait['data']['choices']): Wait['data']['choices'] {
    const text = stringifyJson(choices);
    const known = this.said.get(text) ?? choices;
    this.said.set(text, known);
    return known;
  }

  private patternsFor(type: string): readonly string[] {
    let known = this.patternsOf.get(type);
    if (!known) {
      known = [...this.patterns.keys()].filter((pattern) => typeMatcher([pattern])(type));
      this.patternsOf.set(type, known);
    }
    return known;
  }
}

/** Which choice of a wait an event fits, the first of them; `undefined` where it fits none or comes too late. */
export function choiceOf({ data, orgId }: Wait, event: RecordedEvent): number | undefined {
  if (event.metadata.orgId !== orgId) return undefined;
  if (data.until !== undefined && Date.parse(event.metadata.receivedAt) > Date.parse(data.until)) return undefined;
  const scope = { ...platformEvent(event), ...data.scope };
  const index = data.choices.findIndex(
    (choice) => typeMatcher(choice.event)(event.type) && (choice.when === undefined || holds(choice.when, scope)),
  );
  return index < 0 ? undefined : index;
}

/** What costs too much to be evaluated does not fit. */
function holds(when: string, scope: object): boolean {
  try {
    return compile(when).test(scope);
  } catch {
    return false;
  }
}

export interface Place {
  readonly pattern: string;
  readonly paths: readonly Path[];
  readonly key: string;
}

/** Where a wait stands in the index. */
export function placesOf({ data: { choices, scope } }: Wait): readonly Place[] {
  return choices.flatMap(({ event, when }) => {
    const ofRun = (path: Path) => (Object.hasOwn(scope, String(path[0])) ? valueAt(path, scope) : undefined);
    const equalities: readonly Equality[] = when === undefined ? [] : conjoinedEqualities(when, ofRun);
    const key = keyOf(equalities.map(({ value }) => value))!;
    return event.map((pattern) => ({ pattern, paths: equalities.map(({ path }) => path), key }));
  });
}

/** `undefined` where one of the values equals no scalar. */
export function keyOf(values: readonly unknown[]): string | undefined {
  return values.every(isScalar) ? stringifyJson(values.map(scalarKey)) : undefined;
}

function at(waits: Several, key: string): Iterable<Wait> {
  const found = waits.get(key) ?? [];
  return 'id' in found ? [found] : found;
}

function put(waits: Several, key: string, wait: Wait): void {
  const found = waits.get(key);
  if (found instanceof Set) found.add(wait);
  else waits.set(key, found ? new Set([found, wait]) : wait);
}

function drop(waits: Several, key: string, wait: Wait): void {
  const found = waits.get(key);
  if (found instanceof Set) found.delete(wait);
  if (found === wait || (found instanceof Set && found.size === 0)) waits.delete(key);
}
