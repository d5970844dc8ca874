import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Put, Query } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';

import { carryOut } from '#libs/event-store/src/carry-out.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { pageOfTable } from '#libs/event-store/src/table-page.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { SecretAnswer, SecretValue } from '#libs/events/src/shapes/secret-shape.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { randomText } from '#libs/kernel/src/ids.js';
import type { Page } from '#libs/kernel/src/paging.js';

import { CurrentCaller, Roles } from '../caller.controller.js';
import type { Caller } from '../caller.js';
import { Secrets } from '../secrets/secrets.js';
import { Answers, AnswersPage, Takes } from '../shapes.controller.js';
import { checkedName, RemoveSecret, secretIdOf, secretNotFound, SetSecret } from './named-secret.js';
import { type KnownSecret, NamedSecretTable } from './named-secret.table.js';

/** Secrets for workflows and rules: set and removed, never read back. */
@ApiTags('secrets')
@Controller('api/v1/secrets')
export class NamedSecretController {
  constructor(
    @Inject(CommandBus) readonly commands: CommandBus,
    @Inject(Progress) readonly progress: Progress,
    @Inject(Secrets) private readonly secrets: Secrets,
    @Inject(NamedSecretTable) private readonly table: NamedSecretTable,
  ) {}

  @Put(':name')
  @Roles('designer', 'integrator')
  @ApiOperation({
    summary: 'Set a secret',
    description:
      'Creates it, or replaces its value. Steps and deliveries that begin after this answer use the new value.',
  })
  @Takes(SecretValue)
  @Answers(SecretAnswer)
  async set(@CurrentCaller() caller: Caller, @Param('name') name: string, @Body() sent: object): Promise<SecretAnswer> {
    const { value } = checkBody(SecretValue, sent, { prefix: 'secret', check: () => void checkedName(name) });
    // A reference of its own: what it stands for never changes, so a crash before the append changes nothing.
    const reference = `${secretIdOf(caller.orgId, name)}/value/${randomText(9)}`;
    await this.secrets.put(caller.orgId, reference, value);
    crashPoint('access.secret-stored');
    const { state } = await carryOut(this, new SetSecret(caller, name, reference), this.table.name);
    if (state.kind !== 'set') throw secretNotFound(name);
    return answerOf(state);
  }

  @Get()
  @ApiOperation({ summary: 'List secrets', description: 'Names and times, by name. Values are never shown.' })
  @AnswersPage(SecretAnswer)
  list(
    @CurrentCaller() { orgId }: Caller,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Page<SecretAnswer> {
    const { data, nextCursor } = pageOfTable(this.table, this.table.list(orgId), { limit, cursor }, ({ name }) => name);
    return { data: data.map(answerOf), nextCursor };
  }

  @Delete(':name')
  @Roles('designer', 'integrator')
  @HttpCode(204)
  @ApiOperation({
    summary: 'Remove a secret',
    description: 'Its value is deleted. Steps that use it fail from then on.',
  })
  @ApiResponse({ status: 204 })
  async remove(@CurrentCaller() caller: Caller, @Param('name') name: string): Promise<void> {
    await carryOut(this, new RemoveSecret(caller, name), this.table.name);
  }
}

const answerOf = ({ name, createdAt, updatedAt }: KnownSecret): SecretAnswer => ({ name, createdAt, updatedAt });
