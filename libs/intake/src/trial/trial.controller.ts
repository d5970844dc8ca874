import { Body, Controller, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { EventStore, type EventToAppend } from '#libs/event-store/src/event-store.js';
import { eventIdOf, type EventMetadata } from '#libs/events/src/envelope.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { parseAsWritten, parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import type { HandshakeOutcome, InboundRequest } from '#libs/plugin-sdk/src/define-provider.js';
import { mediaTypeOf } from '#libs/plugin-sdk/src/body/inbound-body.js';

import { integrationNotFound } from '../integration/integration.js';
import { IntegrationTable } from '../integration/integration.table.js';
import { adopts } from '../receiving/answer-handshake.js';
import { InboundPipeline } from '../receiving/pipeline.js';
import { MAX_BODY_BYTES, METHOD_NOT_ALLOWED, Refusal, TOO_LARGE } from '../receiving/refusal.js';
import { TrialAnswer, TrialRequest } from './trial.body.js';

/** Tries a saved request on an integration: it is checked and interpreted as if it had come in, and nothing is stored. */
@ApiTags('integrations')
@Controller('api/v1/integrations')
export class TrialController {
  constructor(
    @Inject(IntegrationTable) private readonly table: IntegrationTable,
    @Inject(InboundPipeline) private readonly pipeline: InboundPipeline,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  @Post(':id/verify')
  @Roles('integrator')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Try a saved request',
    description: 'Shows what would happen. Nothing is stored or counted.',
  })
  @ApiResponse({ status: 200, type: TrialAnswer })
  async verify(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() body: TrialRequest,
  ): Promise<TrialAnswer> {
    const receiver = await this.table.receiver(caller.orgId, id);
    if (receiver?.orgId !== caller.orgId) throw integrationNotFound(id);
    const request = requestOf(body, `/api/v1/webhooks/inbound/${receiver.slug}`);
    const now = this.clock.now();
    const handshake = await this.pipeline.tryHandshake(receiver, request, now);
    if (handshake) {
      const { failed, ...rest } = (await this.pipeline.explain(receiver, request, now)) ?? {};
      const isRefused = handshake.kind === 'adopt' && !adopts(receiver, { now });
      const answer = handshakeAnswer(isRefused ? NOT_EXPECTED_HERE : handshake);
      return {
        ...rest,
        ...answer,
        ...(!answer.accepted && { failed: (handshake.kind === 'unproved' && failed) || 'handshake' }),
      };
    }
    const outcome =
      request.method !== 'POST'
        ? METHOD_NOT_ALLOWED
        : request.rawBody.length > MAX_BODY_BYTES
          ? TOO_LARGE
          : await this.pipeline.examine(receiver, request, now);
    const explanation = await this.pipeline.explain(receiver, request, now);
    if (outcome instanceof Refusal) {
      const { status, code, detail } = outcome;
      return { accepted: false, status, code, detail, ...explanation };
    }
    const { authentication, deliveries } = outcome;
    const recorded = await Promise.all(
      deliveries.map(({ deliveryId, stream }) =>
        deliveryId === undefined ? Promise.resolve([]) : this.store.readStream(stream, { limit: 1 }),
      ),
    );
    return {
      accepted: true,
      status: this.pipeline.statusOf(outcome),
      authentication,
      eventType: eventTypeOf(deliveries[0]?.events[0]),
      deliveryId: deliveries[0]?.deliveryId ?? null,
      duplicate: recorded.length > 0 && recorded.every((events) => events.length > 0),
      events: deliveries.flatMap(({ events }) => events.map(asPlatformEvent)),
      ...explanation,
    };
  }
}

const NOT_EXPECTED_HERE: HandshakeOutcome = { kind: 'unproved', verdict: { ok: false, reason: 'signature_mismatch' } };

/** What would be answered: nothing is adopted, signed or confirmed. */
function handshakeAnswer(outcome: HandshakeOutcome): Pick<TrialAnswer, 'accepted' | 'status' | 'detail'> {
  const detail = 'This request verifies the address. It is answered, and nothing is stored.';
  switch (outcome.kind) {
    case 'unproved':
      return { accepted: false, status: 401, detail: 'It checks the address, but does not prove who sent it.' };
    case 'refused':
      return { accepted: false, status: outcome.status, detail: outcome.detail };
    case 'answered':
      return { accepted: true, status: outcome.status, detail };
    default:
      return { accepted: true, status: 200, detail };
  }
}

const eventTypeOf = (event: EventToAppend | undefined): string | null =>
  event ? (parseJson(event.data) as { eventType: string }).eventType : null;

/** A request with a body, as it would come in; `path` is the address of the integration, for senders that sign it. */
function requestOf(
  { headers, body = '', query = {}, sourceIp = '', method = 'POST', url }: TrialRequest,
  path: string,
): InboundRequest {
  const text = typeof body === 'string' ? body : stringifyJson(body);
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]));
  const complete = typeof body === 'string' ? lower : { 'content-type': 'application/json', ...lower };
  const given = new URLSearchParams(
    Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
  );
  const target = url === undefined ? path + (given.size === 0 ? '' : `?${given.toString()}`) : targetOf(url);
  return {
    headers: complete,
    rawBody: Buffer.from(text),
    query: Object.fromEntries(url === undefined ? given : new URLSearchParams(target.split(/\?(.*)/s)[1] ?? '')),
    contentType: mediaTypeOf((complete as Record<string, string>)['content-type']),
    sourceIp,
    method: method.toUpperCase(),
    target,
  };
}

/** Path and query, of an address too. */
const targetOf = (url: string): string => url.replace(/^https?:\/\/[^/?#]*/i, '').replace(/#.*$/s, '') || '/';

function asPlatformEvent({ id, type, data, metadata }: EventToAppend) {
  const { source, subject, orgId, timestamp } = parseJson(metadata) as EventMetadata;
  return { id: eventIdOf(id), type, source, subject, orgId, timestamp, data: parseAsWritten(data) };
}
