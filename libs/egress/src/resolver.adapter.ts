import { lookup } from 'node:dns/promises';

import { BoundedMap } from '#libs/kernel/src/bounded-map.js';

/** All addresses of a name. Rejects with an error whose `code` is that of the resolver (`ENOTFOUND` …). */
export type Resolve = (host: string) => Promise<readonly string[]>;

const KEEP_MS = 5_000;
const MAX_NAMES = 1_000;

/**
 * The system's resolver (so that `/etc/hosts` and container names work), asked once for a name however many requests
 * need it: `getaddrinfo` occupies a thread of a small pool, which a few dead names would otherwise exhaust. Answers are
 * kept for seconds; failures are not kept.
 */
export function systemResolver(
  ask: Resolve = async (host) => (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address),
  now: () => number = () => performance.now(),
): Resolve {
  const known = new BoundedMap<string, { readonly until: number; readonly addresses: readonly string[] }>(MAX_NAMES);
  const asked = new Map<string, Promise<readonly string[]>>();
  return (host) => {
    const kept = known.get(host);
    if (kept !== undefined && kept.until > now()) return Promise.resolve(kept.addresses);
    const under = asked.get(host);
    if (under) return under;
    const answer = ask(host)
      .then((addresses) => {
        known.delete(host);
        known.set(host, { until: now() + KEEP_MS, addresses });
        return addresses;
      })
      .finally(() => asked.delete(host));
    asked.set(host, answer);
    return answer;
  };
}
