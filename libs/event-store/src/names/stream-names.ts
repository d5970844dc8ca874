import { DEFAULT_STREAM_PREFIX, isOfLongerPrefix, isStreamPrefix } from '#libs/events/src/streams.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

/** Names of streams as an adapter stores them: with one prefix, so that a server can be shared. The port never sees it. */
export class StreamNames {
  /** @throws Error if no stream may be named so. */
  constructor(readonly prefix: string = DEFAULT_STREAM_PREFIX) {
    if (!isStreamPrefix(prefix)) throw new Error(`${stringifyJson(prefix)} cannot be a prefix of stream names.`);
  }

  /** EventStoreDB puts `$$` before the name of a stream's metadata. */
  stored(stream: string): string {
    return stream.startsWith('$$') ? `$$${this.prefix}${stream.slice(2)}` : this.prefix + stream;
  }

  /** The name in the port; `undefined` for the stream of another application, another installation or the server. */
  own(stored: string): string | undefined {
    if (stored.startsWith('$$')) {
      const of = this.own(stored.slice(2));
      return of === undefined ? undefined : `$$${of}`;
    }
    if (!stored.startsWith(this.prefix)) return undefined;
    const rest = stored.slice(this.prefix.length);
    return rest === '' || rest.startsWith('$') || isOfLongerPrefix(rest) ? undefined : rest;
  }
}
