import type { ClientRequest } from 'node:http';

import type { EgressRequest } from './egress.js';

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);
/** With one of these the receiver recognises a repeat. */
const KEYS = new Set(['idempotency-key', 'webhook-id']);
/** A connection that was closed by the other side, as the system reports it when reading and when writing. */
const CLOSED = new Set(['ECONNRESET', 'EPIPE']);

/** Whether sending the request twice has the effect of sending it once. */
export const isRepeatable = ({ method, headers }: Pick<EgressRequest, 'method' | 'headers'>): boolean =>
  SAFE_METHODS.has(method.toUpperCase()) || Object.keys(headers).some((name) => KEYS.has(name.toLowerCase()));

/** Watches which connection a request is sent on, and whether any part of the answer arrives. */
export class UsedConnection {
  private request: ClientRequest | undefined;
  private readBefore = 0;

  watch(request: ClientRequest): void {
    this.request = request;
    request.once('socket', ({ bytesRead }) => (this.readBefore = bytesRead));
  }

  /** Whether the request failed because it was sent on a kept connection that the receiver had closed. */
  wasClosedBeforeUse(error: unknown): boolean {
    const { request } = this;
    return (
      request?.reusedSocket === true &&
      request.socket?.bytesRead === this.readBefore &&
      CLOSED.has(String((error as { code?: unknown }).code))
    );
  }
}
