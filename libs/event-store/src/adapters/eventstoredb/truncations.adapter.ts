import { parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { type RecordedEvent, WrongRevision } from '../../event-store.js';
import type { AppendPipeline } from './append-pipeline.adapter.js';
import { type Reader, SEARCH_SILENCE_MS } from './reader.adapter.js';
import { readAllRequest } from './wire.adapter.js';

const METADATA_TYPE = '$metadata';
const PAGE = 1_000;

/**
 * Which events retention has hidden. EventStoreDB keeps the boundary (`$tb`) in a stream's metadata and honours it when
 * the stream is read, but leaves the events in `$all` until the next scavenge: there this filters them out.
 */
export class Truncations {
  private readonly boundaries = new Map<string, { readonly before: bigint; readonly revision: bigint }>();

  /** Reads the boundaries there are; {@link note} keeps up with what comes. */
  async load(reader: Reader): Promise<void> {
    const search = { streams: [`$$${reader.names.prefix}`] };
    for (let at: bigint | undefined; ;) {
      const request = readAllRequest({ at, direction: 'forwards', count: PAGE }, search);
      const { events } = await reader.read(request, { silenceMs: SEARCH_SILENCE_MS });
      for (const event of events) this.note(event);
      if (events.length < PAGE) return;
      at = events.at(-1)!.position;
    }
  }

  /** Looks whether the event sets a boundary. The newest metadata of a stream counts. */
  note({ type, stream, revision, dataJson }: Pick<RecordedEvent, 'type' | 'stream' | 'revision' | 'dataJson'>): void {
    if (type !== METADATA_TYPE || !stream.startsWith('$$')) return;
    const of = stream.slice(2);
    const known = this.boundaries.get(of);
    if (known && known.revision >= revision) return;
    const before = boundaryIn(dataJson);
    if (before > 0n || known) this.boundaries.set(of, { before, revision });
  }

  hides({ stream, revision }: RecordedEvent): boolean {
    if (this.boundaries.size === 0) return false;
    const boundary = this.boundaries.get(stream);
    return boundary !== undefined && revision < boundary.before;
  }

  before(stream: string): bigint {
    return this.boundaries.get(stream)?.before ?? 0n;
  }

  /** Moves a stream's boundary forwards, never beyond its end, where it would hide what is yet to come. */
  async move(stream: string, to: bigint, reader: Reader, pipeline: AppendPipeline): Promise<void> {
    const newestOf = async (name: string): Promise<RecordedEvent | undefined> =>
      (await reader.stream(name, { direction: 'backwards', count: 1 }))[0];
    for (;;) {
      const last = await newestOf(stream);
      if (last === undefined) return;
      const metadata = await newestOf(`$$${stream}`);
      const before = to <= last.revision ? to : last.revision + 1n;
      if (before <= (metadata ? boundaryIn(metadata.dataJson) : 0n)) return;
      const kept = metadata ? (parseJson(metadata.dataJson) as object) : {};
      const data = stringifyJson({ ...kept, $tb: Number(before) });
      const event = { id: uuid7(), type: METADATA_TYPE, data, metadata: '{}' };
      try {
        const expected = metadata?.revision ?? 'no-stream';
        const { revision } = await pipeline.append(`$$${stream}`, [event], expected, data.length);
        return this.note({ type: METADATA_TYPE, stream: `$$${stream}`, revision, dataJson: data });
      } catch (error) {
        if (!(error instanceof WrongRevision)) throw error;
      }
    }
  }
}

function boundaryIn(metadata: string): bigint {
  try {
    const { $tb } = parseJson(metadata) as { $tb?: unknown };
    return typeof $tb === 'number' && Number.isSafeInteger($tb) && $tb > 0 ? BigInt($tb) : 0n;
  } catch {
    // Metadata of another client's making, without a boundary for us.
    return 0n;
  }
}
