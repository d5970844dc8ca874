/**
 * THE WAY OUT: every HTTP call that Millrace makes to an address somebody configured. HTTPS and public addresses only,
 * unless allowed; the name is resolved once, every address checked, and the connection made to the checked one;
 * redirects are not followed; time and size are bounded. Its own injection token.
 */
export abstract class Egress {
  /** Never throws for what the other side does: a failure is an outcome. Rejects only when `signal` aborts. */
  abstract request(request: EgressRequest): Promise<EgressOutcome>;
  /** Why a URL would be refused without calling it (scheme, credentials, literal private address); undefined if fine. */
  abstract refusal(url: string): string | undefined;
}

export interface EgressRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** From the first byte out to the last byte in. */
  readonly timeoutMs: number;
  /** What is kept of the response (default 64 KiB). */
  readonly keepBytes?: number;
  /** A response longer than this is cut off and fails as `body_too_large` (default 1 MiB). */
  readonly maxBytes?: number;
  readonly signal: AbortSignal;
}

export type FailureClass =
  'timeout' | 'dns' | 'connect' | 'tls' | 'status' | 'refused_address' | 'redirect' | 'body_too_large';

export type EgressOutcome =
  | {
      readonly kind: 'response';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      /** At most `keepBytes`. */
      readonly body: Buffer;
      readonly truncated: boolean;
      readonly latencyMs: number;
    }
  | {
      readonly kind: 'failed';
      /** Anything but `status`: what an answer with a bad status means is for the caller to say. */
      readonly failureClass: Exclude<FailureClass, 'status'>;
      /** What happened, in words for a person; holds no secret. */
      readonly detail: string;
      /** Of a redirect or an oversized answer. */
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly latencyMs: number;
    };
