import http from 'node:http';
import https from 'node:https';
import { isIPv6 } from 'node:net';
import { urlToHttpOptions } from 'node:url';

import { startTimer } from '#libs/kernel/src/time/timer.js';

import {
  addressRefusal,
  type CompiledPolicy,
  compilePolicy,
  isLoopbackName,
  type OutboundPolicy,
  parseTarget,
  type Target,
} from './addresses.js';
import { type Agents, agentsWith, type Pinned } from './agents.adapter.js';
import { Egress, type EgressOutcome, type EgressRequest } from './egress.js';
import { describeFailure, failureOf } from './failures.js';
import { checkHeaders } from './headers.js';
import { headersOf, readBody } from './read-answer.js';
import { isRepeatable, UsedConnection } from './repeat.js';
import { type Resolve, systemResolver } from './resolver.adapter.js';

const KEEP_BYTES = 64 * 1024;
const MAX_BYTES = 1024 * 1024;
const DEFAULT_HEADERS = { 'User-Agent': 'Millrace', Accept: '*/*', 'Accept-Encoding': 'identity' };
const REDIRECTS = new Set([300, 301, 302, 303, 307, 308]);

/** What only tests change. */
export interface HttpEgressOptions {
  readonly resolve?: Resolve;
  /** PEM of certificate authorities to trust in place of the usual ones. */
  readonly ca?: string;
}

type Failed = Extract<EgressOutcome, { kind: 'failed' }>;
type Failing = Omit<Failed, 'kind' | 'latencyMs'>;
type Answer = Omit<Extract<EgressOutcome, { kind: 'response' }>, 'kind' | 'latencyMs'>;

/**
 * Sends over Node's own client, which costs a third of what clients on top of it do. A name is resolved here, every address
 * is checked, and the connection's own lookup returns these addresses only: a name that resolves to another address after
 * the check (DNS rebinding) changes nothing. TLS still checks the certificate against the name.
 */
export class HttpEgress extends Egress {
  private readonly policy: CompiledPolicy;
  private readonly resolve: Resolve;
  /** Connections are used again. */
  private readonly kept: Agents;
  /** Each request opens its own connection. */
  private readonly fresh: Agents;

  constructor(policy: OutboundPolicy, options: HttpEgressOptions = {}) {
    super();
    this.policy = compilePolicy(policy);
    this.resolve = options.resolve ?? systemResolver();
    this.kept = agentsWith({ keepAlive: true }, options.ca);
    this.fresh = agentsWith({ keepAlive: false }, options.ca);
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
    const stopTimer = startTimer(request.timeoutMs, () => {
      timedOut = true;
      limit.abort();
    });
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
          detail: `the receiver sent no complete answer within ${request.timeoutMs} ms`,
        });
      const { failureClass, code } = failureOf(error);
      return failed({ failureClass, detail: describeFailure(failureClass, code) });
    } finally {
      stopTimer();
      request.signal.removeEventListener('abort', onAbort);
    }
  }

  /** Ends all connections that are kept for later. */
  close(): void {
    for (const { http: plain, https: secure } of [this.kept, this.fresh]) {
      plain.destroy();
      secure.destroy();
    }
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

  private async call(request: EgressRequest, url: URL, pinned: Pinned, signal: AbortSignal): Promise<Answer | Failing> {
    const stream = await this.send(request, url, pinned, signal);
    const status = stream.statusCode!;
    const headers = headersOf(stream.headers);
    const { 'set-cookie': setCookie } = stream.headers;
    const cutOff = (failing: Failing): Failing => {
      stream.destroy();
      return { ...failing, status, headers };
    };
    if (REDIRECTS.has(status))
      return cutOff({
        failureClass: 'redirect',
        detail: `the receiver answered ${status}: redirects are not followed. Use the final URL`,
      });
    if (status < 100)
      return cutOff({
        failureClass: 'connect',
        detail: `the receiver does not speak HTTP: it answered with the status ${status}`,
      });
    const isSuccess = status >= 200 && status < 300;
    const { keepBytes: keep = KEEP_BYTES, maxBytes: max = MAX_BYTES } = request;
    const tooLarge: Failing = { failureClass: 'body_too_large', detail: `the answer is longer than ${max} bytes` };
    if (isSuccess && Number(headers['content-length'] ?? 0) > max && request.method !== 'HEAD') return cutOff(tooLarge);
    const { body, size, error } = await readBody(stream, keep, max);
    if (isSuccess && size > max) return cutOff(tooLarge);
    // The status of a failure says what happened, however its body ends.
    if (error !== undefined && (isSuccess || request.signal.aborted)) throw error;
    const truncated = size > keep || error !== undefined;
    return { status, headers, ...(setCookie && { setCookie }), body, truncated };
  }

  /**
   * Sends the request; resolves at the beginning of the answer. A kept connection may be closed by the receiver while the
   * request is on its way. Then it is sent once more, on a new connection, if a repeat can do no harm.
   */
  private async send(
    request: EgressRequest,
    url: URL,
    pinned: Pinned,
    signal: AbortSignal,
  ): Promise<http.IncomingMessage> {
    const connection = new UsedConnection();
    try {
      return await this.sendThrough(this.kept, request, url, pinned, signal, connection);
    } catch (error) {
      if (signal.aborted || !isRepeatable(request) || !connection.wasClosedBeforeUse(error)) throw error;
      return this.sendThrough(this.fresh, request, url, pinned, signal);
    }
  }

  private sendThrough(
    agents: Agents,
    { method, headers, body }: EgressRequest,
    url: URL,
    pinned: Pinned,
    signal: AbortSignal,
    connection?: UsedConnection,
  ): Promise<http.IncomingMessage> {
    const isSecure = url.protocol === 'https:';
    return new Promise((resolve, reject) => {
      const options = {
        ...urlToHttpOptions(url),
        ...pinned,
        method,
        headers: {
          ...DEFAULT_HEADERS,
          ...headers,
          ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
        },
        agent: isSecure ? agents.https : agents.http,
        signal,
      };
      let begun = false;
      const begin = (answer: http.IncomingMessage): void => {
        begun = true;
        resolve(answer);
      };
      const opened = isSecure ? https.request(options, begin) : http.request(options, begin);
      connection?.watch(opened);
      // After the beginning of the answer, its reader gets the error too.
      opened.on('error', reject);
      // Without an error where the receiver switches protocols, which closes the connection.
      opened.on('close', () => {
        if (!begun) reject(Object.assign(new Error('the connection closed'), { code: 'ECONNRESET' }));
      });
      opened.end(body);
    });
  }
}

/** `promise`, or a rejection as soon as `signal` aborts: a look-up cannot be called back, only left alone. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
