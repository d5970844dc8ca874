import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Patch, Post, Query } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';

import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { missingFrom, Progress } from '#libs/event-store/src/subscriber.js';
import { pageOfTable } from '#libs/event-store/src/table-page.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { parseTime } from '#libs/kernel/src/time/times.js';

import { CurrentCaller, Roles } from '../caller.controller.js';
import { type Caller, newIdFor } from '../caller.js';
import { Paged } from '../shapes.controller.js';
import { leaveAdmins, revokeAdmin } from './last-admin.js';
import {
  CreateToken,
  RevokeToken,
  UpdateToken,
  hashOf,
  newTokenText,
  tokenNotFound,
  type TokenSettings,
} from './token.js';
import { ChangedToken, CreatedToken, NewToken, TokenAnswer, TokenPage } from './token.body.js';
import { type KnownToken, TokenTable } from './token.table.js';
import { TokenUse } from './token-use.adapter.js';

@ApiTags('tokens')
@Roles('admin')
@Controller('api/v1/tokens')
export class TokenController {
  constructor(
    @Inject(CommandBus) private readonly commands: CommandBus,
    @Inject(TokenTable) readonly tokens: TokenTable,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(Clock) readonly clock: Clock,
    @Inject(EventStore) readonly store: EventStore,
    @Inject(TokenUse) private readonly uses: TokenUse,
  ) {}

  @Post()
  @ApiOperation({
    summary: 'Create an API token',
    description: 'The token is shown in this answer only; the server keeps a hash.',
  })
  @ApiResponse({ status: 201, type: CreatedToken })
  async create(@CurrentCaller() caller: Caller, @Body() body: NewToken): Promise<CreatedToken> {
    const id = newIdFor(caller, 'tok');
    const token = newTokenText();
    const expiresAt = body.expiresAt === undefined ? undefined : parseTime(body.expiresAt);
    this.refuseOutliving(caller, expiresAt);
    const committed = await this.commands.execute(
      new CreateToken(id, caller, body.name, hashOf(token), body.roles, expiresAt),
    );
    await hasSeen(this.progress, this.tokens.name, committed.position);
    const { name, roles } = body;
    // Created again if an earlier try of the same request was never answered.
    const made = { id, name, roles, expiresAt, createdAt: committed.updatedAt, createdBy: caller.actor };
    return { ...answerOf({ ...made, bootstrap: false }), token };
  }

  @Get()
  @Roles('auditor')
  @ApiOperation({
    summary: 'List valid API tokens',
    description: 'The tokens themselves are not stored and not shown.',
  })
  @Paged()
  @ApiResponse({ status: 200, type: TokenPage })
  async list(
    @CurrentCaller() caller: Caller,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<TokenPage> {
    const { data, nextCursor } = pageOfTable(
      this.tokens,
      this.tokens.list(caller.orgId),
      { limit, cursor },
      ({ id }) => id,
    );
    const uses = await this.uses.lastUses(data.map(({ id }) => id));
    return { data: data.map((one) => answerOf(one, uses.get(one.id))), nextCursor };
  }

  @Get(':id')
  @Roles('auditor')
  @ApiOperation({ summary: 'One API token' })
  @ApiResponse({ status: 200, type: TokenAnswer })
  async view(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<TokenAnswer> {
    const known = this.known(caller, id);
    return answerOf(known, (await this.uses.lastUses([id])).get(id));
  }

  @Patch(':id')
  @ApiOperation({
    summary: 'Change an API token',
    description:
      'Its name, roles or expiry; the token itself stays. A token that expires cannot give another one more time than it has itself.',
  })
  @ApiResponse({ status: 200, type: TokenAnswer })
  async change(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() body: ChangedToken,
  ): Promise<TokenAnswer> {
    const known = this.known(caller, id);
    const { name, roles } = body;
    const changes: Partial<TokenSettings> = {
      ...(name !== undefined && { name }),
      ...(roles !== undefined && { roles }),
      ...(body.expiresAt !== undefined && {
        expiresAt: body.expiresAt === null ? undefined : parseTime(body.expiresAt),
      }),
    };
    const after = { ...known, ...changes };
    const hasMore =
      after.roles.some((role) => !known.roles.includes(role)) || outlives(after.expiresAt, known.expiresAt);
    if (hasMore) this.refuseOutliving(caller, after.expiresAt);
    const update = (revision?: bigint) =>
      this.commands.execute(new UpdateToken(id, { orgId: caller.orgId, actor: caller.actor }, changes, revision));
    const mayLeave =
      known.roles.includes('admin') && (!after.roles.includes('admin') || changes.expiresAt !== undefined);
    const committed = mayLeave ? await leaveAdmins(this, known, caller.actor, update) : await update();
    await hasSeen(this.progress, this.tokens.name, committed.position);
    if (committed.state.kind !== 'active') throw tokenNotFound(id);
    return answerOf({ ...known, ...committed.state.settings }, (await this.uses.lastUses([id])).get(id));
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({
    summary: 'Revoke an API token',
    description: 'This process refuses it from this answer on; other processes do as soon as they have read the event.',
  })
  @ApiResponse({ status: 204 })
  async revoke(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<void> {
    const known = this.known(caller, id);
    const committed = known.roles.includes('admin')
      ? await revokeAdmin(this, known, caller.actor)
      : await this.commands.execute(new RevokeToken(id, caller));
    await hasSeen(this.progress, this.tokens.name, committed.position);
  }

  private known(caller: Caller, id: string): KnownToken {
    const known = this.tokens.get(caller.orgId, id);
    if (known) return known;
    throw missingFrom(this.tokens, tokenNotFound(id));
  }

  /** What a token hands out ends with it at the latest: otherwise an expiry would stop nobody. */
  private refuseOutliving({ orgId, tokenId }: Caller, expiresAt: Date | undefined): void {
    const own = this.tokens.get(orgId, tokenId)?.expiresAt;
    if (!own || !outlives(expiresAt, own)) return;
    const detail = `Must be at most ${own.toISOString()}, when your own token expires.`;
    throw new Rejected('forbidden', 'token.outlives_caller', `expiresAt is too late. ${detail}`, {
      problems: [{ pointer: '/expiresAt', detail }],
    });
  }
}

/** Whether a token with the first expiry is valid after one with the second. */
const outlives = (one: Date | undefined, other: Date | undefined): boolean =>
  other !== undefined && (one === undefined || one > other);

const answerOf = (
  { id, name, roles, expiresAt, createdAt, createdBy, bootstrap }: Omit<KnownToken, 'orgId' | 'hash'>,
  lastUsedAt?: Date,
): TokenAnswer => ({
  id,
  name,
  roles,
  expiresAt: expiresAt?.toISOString() ?? null,
  createdAt: createdAt.toISOString(),
  createdBy,
  bootstrap,
  lastUsedAt: lastUsedAt?.toISOString() ?? null,
});
