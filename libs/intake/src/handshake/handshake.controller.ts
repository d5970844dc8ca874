import { Controller, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers } from '#libs/access/src/shapes.controller.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { carryOut } from '#libs/event-store/src/carry-out.js';
import { missingFrom, Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { HandshakeAnswer } from '#libs/events/src/shapes/integration-shape.js';
import { Clock } from '#libs/kernel/src/clock.js';

import { OpenHandshake, ShowHandshake } from './handshake.js';
import { exists, type Integration, integrationNotFound } from '../integration/integration.js';
import { IntegrationTable } from '../integration/integration.table.js';

/** For senders that give a secret away when they check the address, or want a subscription confirmed. */
@ApiTags('integrations')
@Controller('api/v1/integrations')
export class HandshakeController {
  constructor(
    @Inject(CommandBus) readonly commands: CommandBus,
    @Inject(Progress) readonly progress: Progress,
    @Inject(IntegrationTable) private readonly table: IntegrationTable,
    @Inject(Secrets) private readonly secrets: Secrets,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  @Get(':id/handshake')
  @Roles('admin')
  @ApiOperation({
    summary: 'Get the steps that a handshake needs',
    description: "A token to enter in the sender's settings, or an address to open. Reading it is recorded.",
  })
  @Answers(HandshakeAnswer)
  async show(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<HandshakeAnswer> {
    const state = this.found(caller, id);
    const { shown = false, confirmUrl } = state.handshake ?? {};
    const answer = await this.answer(caller, id);
    if (!shown && confirmUrl === undefined) return answer;
    await carryOut(this, new ShowHandshake(id, caller), followers.integrations);
    const token = shown ? (await this.secrets.get([state.secret!])).get(state.secret!) : undefined;
    return { ...answer, verificationToken: token ?? null, confirmUrl: confirmUrl ?? null };
  }

  @Post(':id/handshake')
  @Roles('admin')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Accept a new secret from the sender',
    description: 'For ten minutes the secret of the next handshake is adopted. It replaces the current secret at once.',
  })
  @Answers(HandshakeAnswer)
  async open(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<HandshakeAnswer> {
    await carryOut(this, new OpenHandshake(id, caller), followers.integrations);
    return this.answer(caller, id);
  }

  private answer(caller: Caller, id: string): Promise<HandshakeAnswer> {
    const { secret, handshake = {} } = this.found(caller, id);
    const { openUntil, shown = false, confirmUrl } = handshake;
    const isOpen = openUntil !== undefined && Date.parse(openUntil) > this.clock.now().getTime();
    const isWaiting = shown || confirmUrl !== undefined;
    const status = isOpen ? 'open' : isWaiting ? 'waiting' : secret === undefined ? 'none' : 'done';
    return Promise.resolve({ status, openUntil: isOpen ? openUntil : null, verificationToken: null, confirmUrl: null });
  }

  private found({ orgId }: Caller, id: string): Extract<Integration, { kind: 'active' | 'disabled' }> {
    const state = this.table.get(orgId, id);
    if (!state || !exists(state)) throw missingFrom(this.table, integrationNotFound(id));
    return state;
  }
}
