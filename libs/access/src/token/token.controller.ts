import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiProperty, ApiPropertyOptional, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ArrayNotEmpty, ArrayUnique, IsIn, IsOptional, IsString, Length } from 'class-validator';

import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { missingFrom, Progress } from '#libs/event-store/src/subscriber.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { parseTime } from '#libs/kernel/src/time/times.js';

import { CurrentCaller, Roles } from '../caller.controller.js';
import { type Caller, newIdFor, type Role } from '../caller.js';
import { Paged } from '../shapes.controller.js';
import { IsTime } from '../time.body.js';
import { revokeAdmin } from './revoke-admin.js';
import { CreateToken, RevokeToken, hashOf, newTokenText } from './token.js';
import { type KnownToken, TokenTable } from './token.table.js';
import { TokenUse } from './token-use.adapter.js';

const ROLE_NAMES: readonly Role[] = ['admin', 'designer', 'integrator', 'auditor'];

export class NewToken {
  @ApiProperty({ description: 'What it is for; shown in lists.', example: 'ci' })
  @IsString()
  @Length(1, 100)
  name!: string;

  @ApiProperty({ enum: ROLE_NAMES, isArray: true, description: '`admin` includes all others.' })
  @ArrayNotEmpty()
  @ArrayUnique()
  @IsIn(ROLE_NAMES, { each: true, message: `each entry must be one of ${ROLE_NAMES.join(', ')}` })
  roles!: Role[];

  @ApiPropertyOptional({ description: 'RFC 3339; without it the token is valid until it is revoked.' })
  @IsOptional()
  @IsTime()
  expiresAt?: string;
}

export class TokenAnswer {
  @ApiProperty({ example: 'tok_01jq5x1d0wkz4s3v2n8m7b6c5a' })
  id!: string;
  @ApiProperty()
  name!: string;
  @ApiProperty({ enum: ROLE_NAMES, isArray: true })
  roles!: readonly Role[];
  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  expiresAt!: string | null;
  @ApiProperty({ format: 'date-time' })
  createdAt!: string;
  @ApiProperty({ description: 'Who created it.' })
  createdBy!: string;
  @ApiProperty({ description: 'From MILLRACE_ADMIN_TOKEN or the first start.' })
  bootstrap!: boolean;
  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'When it was last used, as far as known: uses of other processes are known within seconds.',
  })
  lastUsedAt!: string | null;
}

export class CreatedToken extends TokenAnswer {
  @ApiProperty({ description: 'The token itself: shown in this answer only.', example: 'mr_…' })
  token!: string;
}

export class TokenPage {
  @ApiProperty({ type: [TokenAnswer] })
  data!: TokenAnswer[];
  @ApiProperty({ type: String, nullable: true })
  nextCursor!: string | null;
}

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
    const size = Math.min(Math.max(Number(limit ?? 50) || 50, 1), 200);
    const after = cursor === undefined ? '' : Buffer.from(cursor, 'base64url').toString('utf8');
    const rest = this.tokens.list(caller.orgId).filter(({ id }) => id > after);
    const page = rest.slice(0, size);
    const uses = await this.uses.lastUses(page.map(({ id }) => id));
    const data = page.map((one) => answerOf(one, uses.get(one.id)));
    const last = data.at(-1);
    return { data, nextCursor: last && rest.length > size ? Buffer.from(last.id).toString('base64url') : null };
  }

  @Get(':id')
  @Roles('auditor')
  @ApiOperation({ summary: 'One API token' })
  @ApiResponse({ status: 200, type: TokenAnswer })
  async view(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<TokenAnswer> {
    const known = this.known(caller, id);
    return answerOf(known, (await this.uses.lastUses([id])).get(id));
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
    throw missingFrom(
      this.tokens,
      new Rejected(
        'not_found',
        'token.not_found',
        `There is no valid token ${id}. GET /api/v1/tokens lists the existing ones.`,
      ),
    );
  }
}

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
