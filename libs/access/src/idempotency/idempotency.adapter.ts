import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
  StreamableFile,
} from '@nestjs/common';
import { lastValueFrom, type Observable, of } from 'rxjs';

import { Rejected } from '#libs/kernel/src/errors.js';

import type { Caller } from '../caller.js';
import { IdempotencyStore, type KeyedRequest } from './idempotency-store.adapter.js';
import { fingerprint, KEPT_HEADERS, type StoredAnswer } from './idempotency.js';

interface Request {
  readonly method: string;
  readonly url: string;
  readonly body: unknown;
  readonly caller?: Caller;
}

interface Reply {
  readonly statusCode: number;
  readonly sent: boolean;
  status(code: number): unknown;
  header(name: string, value: string): unknown;
  getHeader(name: string): string | number | string[] | undefined;
}

/**
 * A POST with an `Idempotency-Key` is done once: sent again, it gets the answer that it got. Only answers of success are
 * kept; what was refused may be mended and sent again under the same key.
 */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(@Inject(IdempotencyStore) private readonly store: IdempotencyStore) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const http = context.switchToHttp();
    const { method, url, body, caller } = http.getRequest<Request>();
    if (method !== 'POST' || caller?.idempotencyKey === undefined) return next.handle();
    const reply = http.getResponse<Reply>();
    const request: KeyedRequest = {
      orgId: caller.orgId,
      tokenId: caller.tokenId,
      key: caller.idempotencyKey,
      fingerprint: fingerprint(method, url, body),
    };
    const claim = await this.store.claim(request);
    switch (claim.kind) {
      case 'answered':
        return of(replay(reply, claim.answer));
      case 'reused':
        throw new Rejected(
          'invalid',
          'idempotency.key_reused',
          'This Idempotency-Key was sent with another request in the last 24 hours. Use a new key for a new request.',
        );
      case 'busy':
        throw new Rejected(
          'conflict',
          'idempotency.in_progress',
          'The same request is in progress. Send it again to get its answer.',
          { retryAfter: 1 },
        );
      case 'first':
        return of(await this.carryOut(request, reply, next));
    }
  }

  private async carryOut(request: KeyedRequest, reply: Reply, next: CallHandler): Promise<unknown> {
    let answer: unknown;
    try {
      answer = await lastValueFrom(next.handle(), { defaultValue: undefined });
    } catch (error) {
      await this.store.abandon(request);
      throw error;
    }
    // An answer that is a stream is not kept: such a request changes nothing.
    if (reply.sent || answer instanceof StreamableFile) await this.store.abandon(request);
    else await this.store.complete(request, { status: reply.statusCode, headers: keptHeaders(reply), body: answer });
    return answer;
  }
}

function replay(reply: Reply, { status, headers, body }: StoredAnswer): unknown {
  reply.status(status);
  for (const [name, value] of Object.entries(headers)) reply.header(name, value);
  reply.header('Idempotency-Replayed', 'true');
  return body;
}

function keptHeaders(reply: Reply): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of KEPT_HEADERS) {
    const value = reply.getHeader(name);
    if (value !== undefined) kept[name] = String(value);
  }
  return kept;
}
