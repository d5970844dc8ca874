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

import { parseJson } from '#libs/kernel/src/text/exact-json.js';
import { type Json, pointerToken } from '#libs/kernel/src/json.js';
import { isStorable } from '#libs/kernel/src/text/text.js';

import { locator, type SourcePosition, type SourceProblem } from './source-position.js';

/** One YAML document as JSON, with the position of everything in it. */
export interface YamlDocument {
  /** `null` for a text without content. */
  readonly value: Json;
  /** Of the value at a JSON pointer. Where the pointer leads nowhere: of the nearest value around it. */
  position(pointer: string): SourcePosition;
  /** Of the key that leads to the value; of the value itself in a list. */
  keyPosition(pointer: string): SourcePosition;
  /** Of a character of a text: `offset` counts in the value. Of the value where the character is written as an escape. */
  positionIn(pointer: string, offset: number): SourcePosition;
}

export interface YamlLimits {
  readonly maxBytes: number;
  readonly maxDepth: number;
  /** Values, with aliases written out: without a limit a few lines of aliases become gigabytes. */
  readonly maxValues: number;
  /** Refuses texts that no database column holds: with NUL or half of a surrogate pair. */
  readonly onlyStorable?: boolean;
}

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

/**
 * Reads one YAML 1.2 document with the types of JSON; JSON itself is read too. Refuses what would be changed silently:
 * duplicate keys, numbers that a double cannot hold, keys that are no text, tags, a second document. Never throws.
 */
export function readYaml(
  source: string,
  { maxBytes, maxDepth, maxValues, onlyStorable = false }: YamlLimits,
): { readonly document: YamlDocument } | { readonly problem: SourceProblem } {
  const locate = locator(source);
  const refuse = (code: string, detail: string, offset: number, pointer = '') => ({
    problem: { pointer, code, detail, ...locate(offset) },
  });
  if (Buffer.byteLength(source) > maxBytes)
    return refuse('yaml.too_large', `The text is longer than ${maxBytes / 1024} KiB. Split it.`, 0);
  try {
    const events = parseEvents(source, { maxDepth });
    const second = secondDocumentOffset(events);
    if (second !== undefined)
      return refuse(
        'yaml.several_documents',
        'The text must be one YAML document. Put what follows --- into another file.',
        second,
      );
    const reader = new Reader(source, events, maxDepth, maxValues, onlyStorable);
    const value = reader.read();
    const near = (offsets: ReadonlyMap<string, number>) => (pointer: string) => {
      for (let at = pointer; ; at = parentOf(at)) {
        const offset = offsets.get(at) ?? reader.values.get(at);
        if (offset !== undefined || at === '') return locate(offset ?? 0);
      }
    };
    const position = near(reader.values);
    return {
      document: {
        value,
        position,
        keyPosition: near(reader.keys),
        positionIn(pointer, offset) {
          const text = reader.texts.get(pointer);
          const at = text && offsetIn(source, text, offset);
          return at === undefined ? position(pointer) : locate(at);
        },
      },
    };
  } catch (error) {
    if (error instanceof Refusal) return refuse(error.code, error.detail, error.offset, error.pointer);
    if (!(error instanceof YAMLException)) throw error;
    const reason = error.reason.charAt(0).toUpperCase() + error.reason.slice(1).replace(/\.?$/, '.');
    return refuse('yaml.malformed', `The text is not valid YAML: ${reason}`, error.mark?.position ?? 0);
  }
}

const parentOf = (pointer: string): string => pointer.slice(0, Math.max(0, pointer.lastIndexOf('/')));

const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/;

class Reader {
  /** Offsets by JSON pointer. What an alias stands for is at the alias. */
  readonly values = new Map<string, number>();
  readonly keys = new Map<string, number>();
  /** Of texts that are not behind an alias. */
  readonly texts = new Map<string, TextRange>();
  /** Where the events of each anchored value begin. */
  private readonly anchors = new Map<string, number>();
  private count = 0;
  private next = 1;

  constructor(
    private readonly source: string,
    private readonly events: readonly Event[],
    private readonly maxDepth: number,
    private readonly maxValues: number,
    private readonly onlyStorable: boolean,
  ) {}

  read(): Json {
    return this.events.length <= 1 || this.isEnd() ? null : this.value('', 0);
  }

  /** @param alias the offset of the alias that leads here. */
  private value(pointer: string, depth: number, alias?: number): Json {
    const start = this.next++;
    const event = this.events[start]!;
    if (event.type === EVENT_ID.ALIAS) return this.alias(event.anchorStart, event.anchorEnd, pointer, depth, alias);
    if (event.type === EVENT_ID.DOCUMENT || event.type === EVENT_ID.POP) throw new Error('unbalanced YAML events');
    const offset = alias ?? offsetOf(event) ?? this.keys.get(pointer) ?? this.values.get(parentOf(pointer)) ?? 0;
    this.values.set(pointer, offset);
    if (++this.count > this.maxValues)
      throw new Refusal(
        'yaml.too_many_values',
        `With its aliases written out the text has more than ${this.maxValues} values.`,
        offset,
        pointer,
      );
    if (depth > this.maxDepth)
      throw new Refusal('yaml.too_deep', `Values must be nested at most ${this.maxDepth} deep.`, offset, pointer);
    if (event.tagStart >= 0)
      throw new Refusal('yaml.tag', 'Tags such as !name are not allowed. Remove it.', event.tagStart, pointer);
    const value =
      event.type === EVENT_ID.SCALAR
        ? this.scalar(event, pointer)
        : event.type === EVENT_ID.SEQUENCE
          ? this.sequence(pointer, depth, alias)
          : this.mapping(pointer, depth, alias);
    if (event.type === EVENT_ID.SCALAR && typeof value === 'string' && alias === undefined)
      this.texts.set(pointer, { start: event.valueStart, end: event.valueEnd, value });
    // Known from here on only, so that a value cannot hold itself.
    if (event.anchorStart >= 0) this.anchors.set(this.source.slice(event.anchorStart, event.anchorEnd), start);
    return value;
  }

  private alias(from: number, to: number, pointer: string, depth: number, outer?: number): Json {
    const name = this.source.slice(from, to);
    const anchored = this.anchors.get(name);
    if (anchored === undefined)
      throw new Refusal('yaml.unknown_alias', `*${name} needs an &${name} before it.`, outer ?? from, pointer);
    const back = this.next;
    this.next = anchored;
    const value = this.value(pointer, depth, outer ?? from);
    this.next = back;
    return value;
  }

  private isEnd(): boolean {
    return this.events[this.next]!.type === EVENT_ID.POP;
  }

  private sequence(pointer: string, depth: number, alias?: number): Json {
    const items: Json[] = [];
    while (!this.isEnd()) items.push(this.value(`${pointer}/${items.length}`, depth + 1, alias));
    this.next++;
    return items;
  }

  private mapping(pointer: string, depth: number, alias?: number): Json {
    const object: Record<string, Json> = {};
    while (!this.isEnd()) {
      const event = this.events[this.next++]!;
      if (event.type !== EVENT_ID.SCALAR) {
        const offset = event.type === EVENT_ID.ALIAS ? event.anchorStart : 'start' in event ? event.start : 0;
        throw new Refusal('yaml.key', 'A key must be plain text.', offset, pointer);
      }
      const key = getScalarValue(this.source, event);
      this.checkText(key, event.valueStart, pointer);
      const child = `${pointer}/${pointerToken(key)}`;
      const offset = alias ?? offsetOf(event) ?? this.values.get(pointer)!;
      if (key === '__proto__') throw new Refusal('yaml.key', 'The key __proto__ is not allowed.', offset, child);
      if (Object.hasOwn(object, key)) {
        const { line } = locator(this.source)(this.keys.get(child) ?? 0);
        throw new Refusal('yaml.duplicate_key', `Duplicate key "${key}": it is also in line ${line}.`, offset, child);
      }
      this.keys.set(child, offset);
      object[key] = this.value(child, depth + 1, alias);
    }
    this.next++;
    return object;
  }

  private checkText(text: string, offset: number, pointer: string): void {
    if (!this.onlyStorable || isStorable(text)) return;
    throw new Refusal(
      'yaml.bad_text',
      'A text must not contain the character NUL (U+0000) or half of a surrogate pair. Remove it.',
      offset,
      pointer,
    );
  }

  private scalar(event: ScalarEvent, pointer: string): Json {
    const text = getScalarValue(this.source, event);
    this.checkText(text, event.valueStart, pointer);
    if (event.style !== SCALAR_STYLE.PLAIN) return text;
    // YAML has more ways to write a number than JSON; those of JSON keep their value, whatever their length.
    if (JSON_NUMBER.test(text)) return parseJson(text) as Json;
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
        `${text} is not exact as a number. Put it in quotes.`,
        event.valueStart,
        pointer,
      );
    return value as Json;
  }
}

/** A text as it is written, from `start` to `end` in the source, and as it is read. */
interface TextRange {
  readonly start: number;
  readonly end: number;
  readonly value: string;
}

/**
 * Where a character of a text is in the source: what is written is what is read, but for indentation, folded lines and
 * doubled quotes, which are passed over. `undefined` where an escape stands in between.
 */
function offsetIn(source: string, { start, end, value }: TextRange, offset: number): number | undefined {
  let at = start;
  for (let read = 0; at < end; at++) {
    if (source[at] !== value[read]) continue;
    if (read === offset) return at;
    read++;
  }
  return undefined;
}

/** Quotes belong to a value; one that is left empty has no offset. */
function offsetOf(event: Exclude<Event, { type: 1 | 5 | 6 }>): number | undefined {
  if (event.type !== EVENT_ID.SCALAR) return event.start;
  if (event.valueStart < 0) return undefined;
  const isQuoted = event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED;
  return isQuoted ? event.valueStart - 1 : event.valueStart;
}

/** Where the second document's content begins; `undefined` if there is one document at most. */
function secondDocumentOffset(events: readonly Event[]): number | undefined {
  const second = events.findIndex((event, index) => index > 0 && event.type === EVENT_ID.DOCUMENT);
  if (second < 0) return undefined;
  const content = events[second + 1]!;
  if (content.type === EVENT_ID.ALIAS) return content.anchorStart;
  return content.type === EVENT_ID.DOCUMENT || content.type === EVENT_ID.POP ? 0 : (offsetOf(content) ?? 0);
}
