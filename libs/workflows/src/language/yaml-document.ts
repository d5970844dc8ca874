import {
  constructFromEvents,
  type Event,
  EVENT_ID,
  getScalarValue,
  parseEvents,
  SCALAR_STYLE,
  type ScalarEvent,
  YAMLException,
} from 'js-yaml';

import { type Json, pointerToken } from '#libs/kernel/src/json.js';

/** Where something stands in the text; both count from 1, columns in UTF-16 units, as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** One thing that is wrong with a text. */
export interface SourceProblem extends Position {
  /** RFC 6901, into the document. */
  readonly pointer: string;
  /** Stable and dotted. */
  readonly code: string;
  /** What is wrong and what to write instead. */
  readonly detail: string;
}

/** One YAML document as JSON, which remembers where everything stood. */
export interface YamlDocument {
  readonly value: Json;
  /** Of a value; of the nearest thing around it, where the pointer leads nowhere. */
  position(pointer: string): Position;
  /** Of a key. */
  keyPosition(pointer: string): Position;
}

export const MAX_SOURCE_BYTES = 256 * 1024;
const MAX_DEPTH = 64;
/** Aliases repeat what they name: without a limit a few lines become gigabytes. */
const MAX_NODES = 20_000;
const MAX_ALIASES = 200;

const parentOf = (pointer: string): string => pointer.slice(0, Math.max(0, pointer.lastIndexOf('/')));

/** Thrown inside this file only. */
class Refusal extends Error {
  constructor(
    readonly code: string,
    readonly detail: string,
    readonly offset: number,
    readonly pointer: string,
  ) {
    super(detail);
  }
}

/** Reads YAML 1.2 with the types of JSON. Never throws. */
export function readYaml(source: string): { document: YamlDocument } | { problem: SourceProblem } {
  const locate = locator(source);
  const refuse = (code: string, detail: string, offset: number, pointer = '') => ({
    problem: { pointer, code, detail, ...locate(offset) },
  });
  if (Buffer.byteLength(source) > MAX_SOURCE_BYTES)
    return refuse('yaml.too_large', `The text is longer than ${MAX_SOURCE_BYTES / 1024} KiB: split the workflow.`, 0);
  let events: Event[];
  try {
    events = parseEvents(source, { maxDepth: MAX_DEPTH });
  } catch (error) {
    return yamlError(error, refuse);
  }
  const documents = events.filter((event) => event.type === EVENT_ID.DOCUMENT).length;
  if (documents === 0) return refuse('yaml.empty', 'The text is empty: a workflow has at least a name and steps.', 0);
  if (documents > 1)
    return refuse(
      'yaml.several_documents',
      'One text holds one workflow: put what follows --- into a text of its own.',
      secondDocumentOffset(events),
    );
  const reader = new Reader(source, events);
  try {
    const value = reader.read();
    const near = (map: ReadonlyMap<string, number>) => (pointer: string) => {
      for (let at = pointer; ; at = parentOf(at)) {
        const offset = map.get(at) ?? reader.values.get(at);
        if (offset !== undefined || at === '') return locate(offset ?? 0);
      }
    };
    return { document: { value, position: near(reader.values), keyPosition: near(reader.keys) } };
  } catch (error) {
    if (error instanceof Refusal) return refuse(error.code, error.detail, error.offset, error.pointer);
    return yamlError(error, refuse);
  }
}

function yamlError<T>(error: unknown, refuse: (code: string, detail: string, offset: number) => T): T {
  if (!(error instanceof YAMLException)) throw error;
  const reason = error.reason.charAt(0).toUpperCase() + error.reason.slice(1);
  return refuse('yaml.malformed', `This is not YAML: ${reason.replace(/\.?$/, '.')}`, error.mark?.position ?? 0);
}

class Reader {
  /** Offsets by JSON pointer. */
  readonly values = new Map<string, number>();
  readonly keys = new Map<string, number>();
  /** Where the events of each anchored node begin. */
  private readonly anchors = new Map<string, number>();
  private nodes = 0;
  private aliases = 0;
  private at = 0;

  constructor(
    private readonly source: string,
    private readonly events: readonly Event[],
  ) {}

  read(): Json {
    this.at = 1;
    return this.node('', 0);
  }

  private node(pointer: string, depth: number): Json {
    const start = this.at++;
    const event = this.events[start]!;
    if (event.type === EVENT_ID.ALIAS) return this.alias(event.anchorStart, event.anchorEnd, pointer, depth);
    if (event.type === EVENT_ID.DOCUMENT || event.type === EVENT_ID.POP) throw new Error('unbalanced YAML events');
    const offset = this.offsetOf(event) ?? this.keys.get(pointer) ?? this.values.get(parentOf(pointer)) ?? 0;
    this.values.set(pointer, offset);
    if (++this.nodes > MAX_NODES)
      throw new Refusal(
        'yaml.too_many_nodes',
        `With its aliases written out the text has more than ${MAX_NODES} values.`,
        offset,
        pointer,
      );
    if (depth > MAX_DEPTH)
      throw new Refusal('yaml.too_deep', `Nested more than ${MAX_DEPTH} levels deep.`, offset, pointer);
    if (event.tagStart >= 0)
      throw new Refusal('yaml.tag', 'Tags (!name) are not used in workflows: leave it out.', event.tagStart, pointer);
    const value =
      event.type === EVENT_ID.SCALAR
        ? this.scalar(event, pointer)
        : event.type === EVENT_ID.SEQUENCE
          ? this.sequence(pointer, depth)
          : this.mapping(pointer, depth);
    // Known from here on only, so that a node cannot hold itself.
    if (event.anchorStart >= 0) this.anchors.set(this.source.slice(event.anchorStart, event.anchorEnd), start);
    return value;
  }

  private alias(from: number, to: number, pointer: string, depth: number): Json {
    const name = this.source.slice(from, to);
    const anchored = this.anchors.get(name);
    if (anchored === undefined)
      throw new Refusal('yaml.unknown_alias', `*${name} names no &${name} that stands before it.`, from, pointer);
    if (++this.aliases > MAX_ALIASES)
      throw new Refusal('yaml.too_many_aliases', `More than ${MAX_ALIASES} aliases are followed.`, from, pointer);
    const back = this.at;
    this.at = anchored;
    const value = this.node(pointer, depth);
    this.at = back;
    return value;
  }

  private sequence(pointer: string, depth: number): Json {
    const items: Json[] = [];
    while (this.events[this.at]!.type !== EVENT_ID.POP) items.push(this.node(`${pointer}/${items.length}`, depth + 1));
    this.at++;
    return items;
  }

  private mapping(pointer: string, depth: number): Json {
    const object: Record<string, Json> = {};
    while (this.events[this.at]!.type !== EVENT_ID.POP) {
      const event = this.events[this.at++]!;
      if (event.type !== EVENT_ID.SCALAR) {
        const offset = event.type === EVENT_ID.ALIAS ? event.anchorStart : 'start' in event ? event.start : 0;
        throw new Refusal('yaml.key', 'A key is plain text.', offset, pointer);
      }
      const key = getScalarValue(this.source, event);
      const child = `${pointer}/${pointerToken(key)}`;
      const offset = this.offsetOf(event) ?? this.values.get(pointer)!;
      if (key === '__proto__') throw new Refusal('yaml.key', 'This key is not allowed.', offset, child);
      if (Object.hasOwn(object, key)) {
        const { line } = locator(this.source)(this.keys.get(child) ?? 0);
        throw new Refusal('yaml.duplicate_key', `"${key}" is there already, in line ${line}.`, offset, child);
      }
      this.keys.set(child, offset);
      object[key] = this.node(child, depth + 1);
    }
    this.at++;
    return object;
  }

  private scalar(event: ScalarEvent, pointer: string): Json {
    if (event.style !== SCALAR_STYLE.PLAIN) return getScalarValue(this.source, event);
    const [value] = constructFromEvents(
      [
        { type: EVENT_ID.DOCUMENT, explicitStart: false, explicitEnd: false, directives: [] },
        { ...event, anchorStart: -1, anchorEnd: -1 },
        { type: EVENT_ID.POP },
      ],
      { source: this.source },
    );
    if (
      typeof value === 'number' &&
      (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)))
    )
      throw new Refusal(
        'yaml.number',
        `${getScalarValue(this.source, event)} cannot be kept exactly as a number: put it in quotes.`,
        event.valueStart,
        pointer,
      );
    return value as Json;
  }

  /** Quotes belong to a value; one that is left empty stands nowhere. */
  private offsetOf(event: Exclude<Event, { type: 1 | 5 | 6 }>): number | undefined {
    if (event.type !== EVENT_ID.SCALAR) return event.start;
    if (event.valueStart < 0) return undefined;
    const quoted = event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED;
    return quoted ? event.valueStart - 1 : event.valueStart;
  }
}

function secondDocumentOffset(events: readonly Event[]): number {
  let documents = 0;
  for (const event of events) {
    if (event.type === EVENT_ID.DOCUMENT) documents++;
    else if (documents > 1 && event.type !== EVENT_ID.POP) {
      if (event.type === EVENT_ID.ALIAS) return event.anchorStart;
      return Math.max(0, event.type === EVENT_ID.SCALAR ? event.valueStart : event.start);
    }
  }
  return 0;
}

/** Offset → line and column, for `\n`, `\r\n` and `\r`. */
function locator(source: string): (offset: number) => Position {
  const starts = [0];
  for (let i = 0; i < source.length; i++) {
    const code = source.charCodeAt(i);
    if (code === 10 || (code === 13 && source.charCodeAt(i + 1) !== 10)) starts.push(i + 1);
  }
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - starts[low]! + 1 };
  };
}
