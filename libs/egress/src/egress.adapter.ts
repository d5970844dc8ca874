import http from 'node:http';
import https from 'node:https';
import { isIPv6, type LookupFunction } from 'node:net';

import axios, { type AxiosInstance } from 'axios';

import {
  addressRefusal,
  type CompiledPolicy,
  compilePolicy,
  isLoopbackName,
  type OutboundPolicy,
  parseTarget,
  type Target,
} from './addresses.js';
import { Egress, type EgressOutcome, type EgressRequest } from './egress.js';
import { describeFailure, failureOf } from './failures.js';
import { checkHeaders } from './headers.js';
import { type Resolve, systemResolver } from './resolver.adapter.js';

const KEEP_BYTES = 64 * 1024;
const MAX_BYTES = 1024 * 1024;
/** Below the five seconds after which many servers close an idle connection: a POST is never sent into a closing one. */
const IDLE_MS = 4_000;
const MAX_SOCKETS_PER_HOST = 128;
const MAX_IDLE_PER_HOST = 16;
/** How long the next address of a name waits for the one before. */
const NEXT_ADDRESS_MS = 1_000;
const REDIRECTS = new Set([300, 301, 302, 303, 307, 308]);

/** What only tests change. */
export interface HttpEgressOptions {
  readonly resolve?: Resolve;
  /** PEM of certificate authorities to trust in place of the usual ones. */
  readonly ca?: string;
}

type Failed = Extract<EgressOutcome, { kind: 'failed' }>;
type Failing = Omit<Failed, 'kind' | 'latencyMs'>;

/** The addresses of one request, all checked, and the only ones its connection can go to. */
interface Pinned {
  readonly lookup: LookupFunction;
  /** Part of the pool's key: a kept connection is used again only by requests that were given the same addresses. */
  readonly pin: string;
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

/**
 * The way out through axios. A name is resolved here, every address checked, and the connection's own look-up answers
 * with these addresses alone, so that a name that changes its mind between check and connection (DNS rebinding) gains
 * nothing. TLS still checks the certificate against the name.
 */
export class HttpEgress extends Egress {
  private readonly policy: CompiledPolicy;
  private readonly resolve: Resolve;
  private readonly agents: { readonly http: http.Agent; readonly https: https.Agent };
  private readonly client: AxiosInstance;

  constructor(policy: OutboundPolicy, options: HttpEgressOptions = {}) {
    super();
    this.policy = compilePolicy(policy);
    this.resolve = options.resolve ?? systemResolver();
    const pool = {
      keepAlive: true,
      timeout: IDLE_MS,
      maxSockets: MAX_SOCKETS_PER_HOST,
      maxFreeSockets: MAX_IDLE_PER_HOST,
      scheduling: 'lifo' as const,
      autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
    };
    this.agents = {
      http: new PinnedHttpAgent(pool),
      // Explicit, so that NODE_TLS_REJECT_UNAUTHORIZED in the environment cannot switch the check off.
      https: new PinnedHttpsAgent({ ...pool, rejectUnauthorized: true, ...(options.ca && { ca: options.ca }) }),
    };
    this.client = axios.create({
      adapter: 'http',
      proxy: false,
      maxRedirects: 0,
      decompress: false,
      responseType: 'stream',
      maxBodyLength: Infinity,
      httpAgent: this.agents.http,
      httpsAgent: this.agents.https,
      transformRequest: [],
      transformResponse: [],
      validateStatus: () => true,
    });
  }

  override refusal(url: string): string | undefined {
    const parsed = parseTarget(url, this.policy);
    return parsed.kind === 'refused' ? parsed.reason : undefined;
  }

  override async request(request: EgressRequest): Promise<EgressOutcome> {
    request.signal.throwIfAborted();
    checkHeaders(request.headers);
    const started = performance.now();
    const latencyMs = () => Math.round(performance.now() - started);
    const failed = (failing: Failing): Failed => ({ kind: 'failed', ...failing, latencyMs: latencyMs() });

    const parsed = parseTarget(request.url, this.policy);
    if (parsed.kind === 'refused') return failed({ failureClass: 'refused_address', detail: parsed.reason });

    const limit = new AbortController();
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      limit.abort();
    }, request.timeoutMs);
    const onAbort = () => limit.abort();
    request.signal.addEventListener('abort', onAbort, { once: true });
    try {
      const pinned = await this.pin(parsed.target, limit.signal);
      if ('failureClass' in pinned) return failed(pinned);
      const answer = await this.call(request, parsed.target.url, pinned, limit.signal);
      return 'failureClass' in answer ? failed(answer) : { kind: 'response', ...answer, latencyMs: latencyMs() };
    } catch (error) {
      if (request.signal.aborted) throw request.signal.reason;
      if (timedOut)
        return failed({
          failureClass: 'timeout',
          detail: `there was no complete answer within ${request.timeoutMs} ms`,
        });
      const { failureClass, code } = failureOf(error);
      return failed({ failureClass, detail: describeFailure(failureClass, code) });
    } finally {
      clearTimeout(timer);
      request.signal.removeEventListener('abort', onAbort);
    }
  }

  /** Ends all connections that are kept for later. */
  close(): void {
    this.agents.http.destroy();
    this.agents.https.destroy();
  }

  private async pin({ host, literal }: Target, signal: AbortSignal): Promise<Pinned | Failing> {
    const resolved = literal ? [host] : await unlessAborted(this.resolve(host), signal);
    // Of the two addresses that localhost stands for, the operator may have allowed one.
    const usable = isLoopbackName(host)
      ? resolved.filter((address) => addressRefusal(address, this.policy) === undefined)
      : [];
    const addresses = usable.length > 0 ? usable : resolved;
    if (addresses.length === 0) return { failureClass: 'dns', detail: `${host} has no address` };
    for (const address of addresses) {
      const reason = addressRefusal(address, this.policy);
      if (reason !== undefined)
        return { failureClass: 'refused_address', detail: literal ? reason : `${host} resolves to ${reason}` };
    }
    const entries = addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }));
    return {
      pin: [...addresses].sort().join(','),
      lookup: (_host, options, callback) =>
        options.all === true ? callback(null, entries) : callback(null, entries[0]!.address, entries[0]!.family),
    };
  }

  private async call(request: EgressRequest, url: URL, pinned: Pinned, signal: AbortSignal) {
    const { request: send } = url.protocol === 'https:' ? https : http;
    const response = await this.client.request<http.IncomingMessage>({
      method: request.method,
      url: url.href,
      headers: { 'User-Agent': 'Millrace', Accept: '*/*', 'Accept-Encoding': 'identity', ...request.headers },
      ...(request.body === undefined ? {} : { data: Buffer.from(request.body) }),
      signal,
      transport: {
        request: (options: https.RequestOptions, respond: (response: http.IncomingMessage) => void) =>
          send(Object.assign(options, pinned), respond),
      },
    });
    const { status, data: stream } = response;
    const headers = plainHeaders(stream.headers);
    const cutOff = (failing: Failing): Failing => {
      stream.destroy();
      return { ...failing, status, headers };
    };
    if (REDIRECTS.has(status))
      return cutOff({
        failureClass: 'redirect',
        detail: `the receiver answered ${status}: redirects are not followed, give the final URL`,
      });
    const max = request.maxBytes ?? MAX_BYTES;
    const tooLarge: Failing = { failureClass: 'body_too_large', detail: `the answer is longer than ${max} bytes` };
    if (Number(headers['content-length'] ?? 0) > max && request.method !== 'HEAD') return cutOff(tooLarge);
    const keep = request.keepBytes ?? KEEP_BYTES;
    const kept: Buffer[] = [];
    let size = 0;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      if (size < keep) kept.push(chunk.subarray(0, keep - size));
      size += chunk.length;
      if (size > max) return cutOff(tooLarge);
    }
    return { status, headers, body: Buffer.concat(kept), truncated: size > keep };
  }
}

function plainHeaders(headers: http.IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
    ),
  );
}

/** `promise`, or a rejection as soon as `signal` aborts: a look-up cannot be called back, only left alone. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
