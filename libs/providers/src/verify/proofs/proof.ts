import type { ProviderContext, RefusalReason } from '#libs/plugin-sdk/src/define-provider.js';
import type { Json } from '#libs/plugin-sdk/src/fields.js';

import type { RequestView } from '../request/views.js';

/** Which part of a proof did not fit. */
export type FailedPart = 'header' | 'signature' | 'timestamp' | 'bodyHash' | 'claims' | 'field' | 'handshake';

export type Finding =
  | { readonly ok: true; readonly authentication: string }
  | {
      readonly ok: false;
      readonly reason: RefusalReason;
      readonly failed: FailedPart;
      /** For the log of the server. Holds no secret. */
      readonly detail?: string;
    };

export const proved = (authentication: string): Finding => ({ ok: true, authentication });
export const missing = (failed: FailedPart = 'header'): Finding => ({ ok: false, reason: 'signature_missing', failed });
export const malformed = (failed: FailedPart = 'signature'): Finding => ({
  ok: false,
  reason: 'signature_malformed',
  failed,
});
export const mismatch = (failed: FailedPart = 'signature'): Finding => ({
  ok: false,
  reason: 'signature_mismatch',
  failed,
});
export const stale = (): Finding => ({ ok: false, reason: 'stale', failed: 'timestamp' });

/** What is proved: the body, or each element of it where the proof stands inside. */
export type Values = () => readonly Json[];

export interface Signer {
  /** The secret, or the private key. */
  readonly key: string;
  readonly now: Date;
}

/** What a signer changes of a request. */
export interface SignedParts {
  readonly headers?: Readonly<Record<string, string>>;
  readonly rawBody?: Buffer;
  readonly target?: string;
}

/** One way to prove a request, compiled from its declaration. */
export interface Proof {
  /** What this scheme needs, as a noun phrase for senders. */
  readonly wants: string;
  /** It is made with a secret of the integration; without one nobody is believed. */
  readonly needsSecret: boolean;
  /** Names of headers that are looked at, in lower case: none of them may be stored. */
  readonly headers: readonly string[];
  /** Why a secret cannot be one of this scheme. */
  secretProblem?(secret: string): string | undefined;
  verify(view: RequestView, values: Values, context: ProviderContext): Finding | Promise<Finding>;
  sign(view: RequestView, values: Values, signer: Signer): SignedParts | Promise<SignedParts>;
}
