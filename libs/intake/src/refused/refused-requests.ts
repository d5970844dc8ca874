import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import type { InboundRequest } from '#libs/plugin-sdk/src/define-provider.js';

import type { Receiver } from '../integration/integration.table.js';

/** A request that an integration refused, as far as it is kept: what answers a sender who says "it answers 401". */
export interface RefusedRequest {
  readonly orgId: string;
  readonly integrationId: string;
  readonly at: Date;
  readonly status: number;
  readonly code: string;
  /** What the sender was told to do. */
  readonly expected: string;
  /** For operators alone. */
  readonly cause: string | undefined;
  readonly method: string;
  /** Values that may be a secret are replaced by how long they are. */
  readonly headers: Readonly<Record<string, string>>;
  /** The first {@link KEPT_BYTES}; absent where it was not read. */
  readonly body: Buffer | undefined;
  readonly bodyBytes: number;
  readonly requestId: string;
  /** Refused requests before this one that were not kept: too many came at once. */
  readonly leftOut: number;
}

export interface NotedRefusal {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly cause?: string | undefined;
}

export const KEPT_BYTES = 4 * 1024;
/** Strangers cause these: so many a second are kept of an integration, and so many wait to be written in all. */
const MOST_A_SECOND = 20;
const MOST_WAITING = 500;
const MOST_HEADERS = 50;
const MOST_VALUE = 500;

interface Pace {
  second: number;
  count: number;
  leftOut: number;
}

/** Requests that were refused since they were last written down. Costs a stranger's target the same, however many come. */
export class RefusedRequests {
  private waiting: RefusedRequest[] = [];
  private readonly paces = new BoundedMap<string, Pace>(10_000);

  note(
    { id: integrationId, orgId }: Pick<Receiver, 'id' | 'orgId'>,
    { status, code, detail: expected, cause }: NotedRefusal,
    { requestId, request }: { readonly requestId: string; readonly request?: InboundRequest | undefined },
    at: Date,
  ): void {
    const leftOut = this.admitted(integrationId, at);
    if (leftOut === undefined) return;
    const rawBody = request?.rawBody;
    this.waiting.push({
      ...{ orgId, integrationId, at, status, code, expected, cause, requestId, leftOut },
      method: request?.method ?? 'POST',
      headers: request ? shownHeaders(request.headers) : {},
      // A copy: the rest of a large body must not stay in memory.
      body: rawBody && Buffer.from(rawBody.subarray(0, KEPT_BYTES)),
      bodyBytes: rawBody?.length ?? 0,
    });
  }

  take(): readonly RefusedRequest[] {
    const taken = this.waiting;
    this.waiting = [];
    return taken;
  }

  /** How many were left out before this one; `undefined` where this one is. */
  private admitted(integrationId: string, at: Date): number | undefined {
    const second = Math.floor(at.getTime() / 1000);
    const known = this.paces.get(integrationId);
    const pace = known ?? { second, count: 0, leftOut: 0 };
    if (!known) this.paces.set(integrationId, pace);
    if (pace.second !== second) Object.assign(pace, { second, count: 0 });
    if (pace.count >= MOST_A_SECOND || this.waiting.length >= MOST_WAITING) {
      pace.leftOut += 1;
      return undefined;
    }
    pace.count += 1;
    const { leftOut } = pace;
    pace.leftOut = 0;
    return leftOut;
  }
}

/** Headers that say what was sent and how it was signed. Any other may carry a token. */
const SHOWN =
  /^(accept(-[a-z]+)?|content-(type|length|encoding)|date|host|user-agent|transfer-encoding|webhook-(id|timestamp|signature)|x-github-[a-z-]+|x-gitlab-(event|event-uuid|webhook-uuid|instance|delivery)|x-request-(id|timestamp)|[a-z0-9-]*-(signature(-[a-z0-9]+)*|timestamp|event|event-type|topic|delivery|delivery-id|event-id|hmac-sha256))$/;

function shownHeaders(headers: InboundRequest['headers']): Record<string, string> {
  const shown: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers).slice(0, MOST_HEADERS)) {
    if (value === undefined) continue;
    shown[name.slice(0, 100)] = SHOWN.test(name) ? value.slice(0, MOST_VALUE) : `(${value.length} characters)`;
  }
  return shown;
}
