import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';

/** A body as far as it was read. */
export interface ReadBody {
  /** At most `keep` bytes. */
  readonly body: Buffer;
  /** Bytes that came; more than `max` where the rest was not read. */
  readonly size: number;
  /** Why the body ended early. */
  readonly error?: Error;
}

/** Reads a body, keeps its first bytes, and stops reading beyond `max`. Never rejects. */
export function readBody(stream: Readable, keep: number, max: number): Promise<ReadBody> {
  const kept: Buffer[] = [];
  let size = 0;
  return new Promise((resolve) => {
    const end = (error?: Error) => resolve({ body: Buffer.concat(kept), size, ...(error && { error }) });
    stream
      .on('data', (chunk: Buffer) => {
        if (size < keep) kept.push(chunk.subarray(0, keep - size));
        size += chunk.length;
        if (size <= max) return;
        end();
        stream.destroy();
      })
      .on('end', () => end())
      .on('error', end)
      .on('close', () => end(new Error('the answer ended early')));
  });
}

/** Headers by lower-case name. Without cookies: their values hold commas, so that several cannot be joined. */
export function headersOf({ 'set-cookie': _, ...headers }: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
    ),
  );
}
