import { Body, Controller, Get, Inject, Param, Post, Query } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiTags } from '@nestjs/swagger';

import { hasSeen } from '#libs/event-store/src/carry-out.js';
import { missingFrom, Progress } from '#libs/event-store/src/subscriber.js';
import { DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { CreatedOrganisation, NewOrganisation, OrganisationAnswer } from './organisation.body.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { derivedId } from '#libs/kernel/src/ids.js';

import { CurrentCaller, Roles } from '../caller.controller.js';
import { type Caller, newIdFor } from '../caller.js';
import { Answers, AnswersPage, Takes } from '../shapes.controller.js';
import { CreateToken, hashOf, newTokenText } from '../token/token.js';
import { TokenTable } from '../token/token.table.js';
import { EstablishOrganisation } from './organisation.js';
import { OrganisationTable } from './organisation.table.js';

/** Organisations share an installation and see nothing of each other. */
@ApiTags('organisations')
@Roles('admin')
@Controller('api/v1/organisations')
export class OrganisationController {
  constructor(
    @Inject(CommandBus) private readonly commands: CommandBus,
    @Inject(OrganisationTable) private readonly table: OrganisationTable,
    @Inject(TokenTable) private readonly tokens: TokenTable,
    @Inject(Progress) private readonly progress: Progress,
  ) {}

  @Post()
  @ApiOperation({
    summary: 'Create an organisation',
    description:
      'For admins of the installation: those of its first organisation. The answer has the first admin token of the new organisation, once.',
  })
  @Takes(NewOrganisation)
  @Answers(CreatedOrganisation, 201)
  async create(@CurrentCaller() caller: Caller, @Body() sent: object): Promise<CreatedOrganisation> {
    if (caller.orgId !== DEFAULT_ORG)
      throw new Rejected(
        'forbidden',
        'organisation.not_installation',
        'Only admins of the first organisation create others. Ask the operator of this installation.',
      );
    const { name } = checkBody(NewOrganisation, sent, { prefix: 'organisation' });
    const id = newIdFor(caller, 'org');
    await this.commands.execute(new EstablishOrganisation(id, { orgId: id, actor: caller.actor }, name));
    // Its id follows from that of the organisation: a request that is sent again replaces a token that nobody has seen.
    const tokenId = derivedId('tok', 'first-admin', id);
    const token = newTokenText();
    const author = { orgId: id, actor: caller.actor };
    const { position } = await this.commands.execute(
      new CreateToken(tokenId, author, 'first admin', hashOf(token), ['admin'], undefined),
    );
    for (const { name: follower } of [this.table, this.tokens]) await hasSeen(this.progress, follower, position);
    return { ...this.known(caller, id), token, tokenId };
  }

  @Get()
  @Roles('auditor')
  @ApiOperation({
    summary: 'List organisations',
    description: 'Admins of the installation see all of them, everybody else their own.',
  })
  @AnswersPage(OrganisationAnswer)
  list(
    @CurrentCaller() caller: Caller,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): { data: OrganisationAnswer[]; nextCursor: string | null } {
    const size = Math.min(Math.max(Number(limit ?? 50) || 50, 1), 200);
    const after = cursor === undefined ? '' : Buffer.from(cursor, 'base64url').toString('utf8');
    const rest = this.table.list().filter(({ id }) => id > after && maySee(caller, id));
    const data = rest.slice(0, size);
    const last = data.at(-1);
    return { data, nextCursor: last && rest.length > size ? Buffer.from(last.id).toString('base64url') : null };
  }

  @Get(':id')
  @Roles('auditor')
  @ApiOperation({ summary: 'One organisation' })
  @Answers(OrganisationAnswer)
  view(@CurrentCaller() caller: Caller, @Param('id') id: string): OrganisationAnswer {
    return this.known(caller, id);
  }

  private known(caller: Caller, id: string): OrganisationAnswer {
    const known = maySee(caller, id) ? this.table.get(id) : undefined;
    if (known) return known;
    throw missingFrom(
      this.table,
      new Rejected(
        'not_found',
        'organisation.not_found',
        `There is no organisation ${id}. GET /api/v1/organisations lists those that you can see.`,
      ),
    );
  }
}

const maySee = ({ orgId, roles }: Caller, id: string): boolean =>
  id === orgId || (orgId === DEFAULT_ORG && roles.includes('admin'));
