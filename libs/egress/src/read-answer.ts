import type { IncomingHttpHeaders } from 'node:http';

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
export async function readBody(stream: AsyncIterable<Buffer>, keep: number, max: number): Promise<ReadBody> {
  const kept: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stream) {
      if (size < keep) kept.push(chunk.subarray(0, keep - size));
      size += chunk.length;
      if (size > max) break;
    }
    return { body: Buffer.concat(kept), size };
  } catch (error) {
    return { body: Buffer.concat(kept), size, error: error as Error };
  }
}

/** Headers by lower-case name. Without cookies: their values hold commas, so that several cannot be joined. */
export function headersOf({ 'set-cookie': _, ...headers }: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
    ),
  );
}
