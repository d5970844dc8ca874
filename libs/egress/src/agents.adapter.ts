import http from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';

/** Below the five seconds after which many servers close an idle connection. */
const IDLE_MS = 4_000;
const MAX_SOCKETS_PER_HOST = 128;
/** As many as a webhook may use at a time: fewer, and connections would be closed and opened under load. */
const MAX_IDLE_PER_HOST = 64;
/** How long the next address of a name waits for the one before. */
const NEXT_ADDRESS_MS = 1_000;

/** The addresses of one request, all checked, and the only ones its connection can go to. */
export interface Pinned {
  readonly lookup: LookupFunction;
  /** Part of the pool's key: a kept connection is used again only by requests that were given the same addresses. */
  readonly pin: string;
}

export interface Agents {
  readonly http: http.Agent;
  readonly https: https.Agent;
}

/** @param ca certificate authorities to trust in place of the usual ones. */
export function agentsWith({ keepAlive }: { readonly keepAlive: boolean }, ca: string | undefined): Agents {
  const pool = {
    keepAlive,
    timeout: IDLE_MS,
    maxSockets: MAX_SOCKETS_PER_HOST,
    maxFreeSockets: MAX_IDLE_PER_HOST,
    scheduling: 'lifo' as const,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
  };
  return {
    http: new PinnedHttpAgent(pool),
    // Explicit, so that NODE_TLS_REJECT_UNAUTHORIZED in the environment cannot switch the check off.
    https: new PinnedHttpsAgent({ ...pool, rejectUnauthorized: true, ...(ca !== undefined && { ca }) }),
  };
}

const poolKey = (name: string, options: object | undefined): string =>
  `${name}|${(options as Partial<Pinned> | undefined)?.pin ?? ''}`;

class PinnedHttpAgent extends http.Agent {
  override getName(options?: Parameters<http.Agent['getName']>[0]): string {
    return poolKey(super.getName(options), options);
  }
}

class PinnedHttpsAgent extends https.Agent {
  override getName(options?: https.RequestOptions): string {
    return poolKey(super.getName(options), options);
  }
}
