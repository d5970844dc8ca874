/**
 * THE WAY OUT: every HTTP request that Millrace sends to an address that somebody configured. HTTPS and public addresses
 * only, unless allowed; the name is resolved once, every address is checked, and the connection goes to a checked one;
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
  /** No more is read (default 1 MiB). A longer 2xx fails as `body_too_large`; of any other answer the status counts. */
  readonly maxBytes?: number;
  readonly signal: AbortSignal;
}

export type FailureClass =
  'timeout' | 'dns' | 'connect' | 'tls' | 'status' | 'refused_address' | 'redirect' | 'body_too_large';

export type EgressOutcome =
  | {
      readonly kind: 'response';
      readonly status: number;
      /** By lower-case name, without `set-cookie`. */
      readonly headers: Readonly<Record<string, string>>;
      readonly setCookie?: readonly string[];
      /** At most `keepBytes`, as they came: a compressed body stays compressed. */
      readonly body: Buffer;
      /** The body is longer, or, of an answer outside 2xx, ended early. */
      readonly truncated: boolean;
      readonly latencyMs: number;
    }
  | {
      readonly kind: 'failed';
      /** Anything but `status`: what an answer with a bad status means is for the caller to say. */
      readonly failureClass: Exclude<FailureClass, 'status'>;
      /** What happened, for people; holds no secret. */
      readonly detail: string;
      /** Of a redirect or an oversized answer. */
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly latencyMs: number;
    };
