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
import { InboundPipeline } from '../receiving/pipeline.js';
import { MAX_BODY_BYTES, Refusal, TOO_LARGE } from '../receiving/refusal.js';
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
    description: 'Says what would happen. Nothing is stored or counted.',
  })
  @ApiResponse({ status: 200, type: TrialAnswer })
  async verify(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() body: TrialRequest,
  ): Promise<TrialAnswer> {
    const receiver = await this.table.receiver(caller.orgId, id);
    if (receiver?.orgId !== caller.orgId) throw integrationNotFound(id);
    const request = requestOf(body);
    const now = this.clock.now();
    const handshake = await this.pipeline.tryHandshake(receiver, request, now);
    if (handshake) return { ...handshakeAnswer(handshake), ...(await this.pipeline.explain(receiver, request, now)) };
    const outcome =
      request.rawBody.length > MAX_BODY_BYTES ? TOO_LARGE : await this.pipeline.examine(receiver, request, now);
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
      status: 202,
      authentication,
      eventType: eventTypeOf(deliveries[0]?.events[0]),
      deliveryId: deliveries[0]?.deliveryId ?? null,
      duplicate: recorded.length > 0 && recorded.every((events) => events.length > 0),
      events: deliveries.flatMap(({ events }) => events.map(asPlatformEvent)),
      ...explanation,
    };
  }
}

/** What would be answered: nothing is adopted, signed or confirmed. */
function handshakeAnswer(outcome: HandshakeOutcome): Pick<TrialAnswer, 'accepted' | 'status' | 'detail' | 'failed'> {
  const detail = 'It is a request with which the sender checks the address: it is answered, and nothing is stored.';
  switch (outcome.kind) {
    case 'unproved':
      return { accepted: false, status: 401, detail, failed: 'handshake' };
    case 'refused':
      return { accepted: false, status: outcome.status, detail: outcome.detail, failed: 'handshake' };
    case 'answered':
      return { accepted: true, status: outcome.status, detail };
    default:
      return { accepted: true, status: 200, detail };
  }
}

const eventTypeOf = (event: EventToAppend | undefined): string | null =>
  event ? (parseJson(event.data) as { eventType: string }).eventType : null;

function requestOf({ headers, body, query = {}, sourceIp = '', method, url }: TrialRequest): InboundRequest {
  const text = typeof body === 'string' ? body : stringifyJson(body);
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]));
  const complete = typeof body === 'string' ? lower : { 'content-type': 'application/json', ...lower };
  return {
    headers: complete,
    rawBody: Buffer.from(text),
    query: Object.fromEntries(Object.entries(query).map(([name, value]) => [name, String(value)])),
    contentType: mediaTypeOf((complete as Record<string, string>)['content-type']),
    sourceIp,
    ...(method !== undefined && { method: method.toUpperCase() }),
    ...(url !== undefined && { target: targetOf(url) }),
  };
}

/** Path and query, of an address too. */
const targetOf = (url: string): string => url.replace(/^https?:\/\/[^/?#]*/i, '').replace(/#.*$/s, '') || '/';

function asPlatformEvent({ id, type, data, metadata }: EventToAppend) {
  const { source, subject, orgId, timestamp } = parseJson(metadata) as EventMetadata;
  return { id: eventIdOf(id), type, source, subject, orgId, timestamp, data: parseAsWritten(data) };
}
