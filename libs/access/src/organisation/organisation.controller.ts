import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Patch, Post, Query } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';

import { carryOut, hasSeen } from '#libs/event-store/src/carry-out.js';
import { missingFrom, Progress } from '#libs/event-store/src/subscriber.js';
import { pageOfTable } from '#libs/event-store/src/table-page.js';
import { DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { derivedId } from '#libs/kernel/src/ids.js';
import type { Page } from '#libs/kernel/src/paging.js';

import { CurrentCaller, Roles } from '../caller.controller.js';
import { type Caller, newIdFor } from '../caller.js';
import { Answers, AnswersPage, Takes } from '../shapes.controller.js';
import { CreateToken, hashOf, newTokenText } from '../token/token.js';
import { TokenTable } from '../token/token.table.js';
import { CreatedOrganisation, NewOrganisation, OrganisationAnswer, OrganisationChanges } from './organisation.body.js';
import { EstablishOrganisation, organisationNotFound, UpdateOrganisation } from './organisation.js';
import { OrganisationTable } from './organisation.table.js';

/** Organisations share an installation and see nothing of each other. */
@ApiTags('organisations')
@Roles('admin')
@Controller('api/v1/organisations')
export class OrganisationController {
  constructor(
    @Inject(CommandBus) readonly commands: CommandBus,
    @Inject(OrganisationTable) private readonly table: OrganisationTable,
    @Inject(TokenTable) private readonly tokens: TokenTable,
    @Inject(Progress) readonly progress: Progress,
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
    requireInstallation(caller, 'create others');
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
  ): Page<OrganisationAnswer> {
    const seen = this.table.list().filter(({ id }) => maySee(caller, id));
    return pageOfTable(this.table, seen, { limit, cursor }, ({ id }) => id);
  }

  @Get(':id')
  @Roles('auditor')
  @ApiOperation({ summary: 'One organisation' })
  @Answers(OrganisationAnswer)
  view(@CurrentCaller() caller: Caller, @Param('id') id: string): OrganisationAnswer {
    return this.known(caller, id);
  }

  @Patch(':id')
  @ApiOperation({
    summary: 'Change an organisation',
    description:
      'Its admins rename it. Admins of the installation also archive and restore it: while it is archived, its tokens are refused, nothing is received and no schedule fires; what has begun ends.',
  })
  @Takes(OrganisationChanges)
  @Answers(OrganisationAnswer)
  change(@CurrentCaller() caller: Caller, @Param('id') id: string, @Body() sent: object): Promise<OrganisationAnswer> {
    return this.update(caller, id, checkBody(OrganisationChanges, sent, { prefix: 'organisation' }));
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({
    summary: 'Archive an organisation',
    description: 'The same as `archived: true`. Its events stay, and PATCH restores it.',
  })
  @ApiResponse({ status: 204 })
  async archive(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<void> {
    await this.update(caller, id, { archived: true });
  }

  private async update(
    caller: Caller,
    id: string,
    changes: UpdateOrganisation['changes'],
  ): Promise<OrganisationAnswer> {
    const before = this.known(caller, id);
    if (changes.archived !== undefined) requireInstallation(caller, 'archive and restore organisations');
    const command = new UpdateOrganisation(id, { orgId: id, actor: caller.actor }, changes);
    const { state } = await carryOut(this, command, this.table.name);
    if (state.kind === 'unknown') throw organisationNotFound(id);
    return { ...before, name: state.name, archived: state.kind === 'archived' };
  }

  private known(caller: Caller, id: string): OrganisationAnswer {
    const known = maySee(caller, id) ? this.table.get(id) : undefined;
    if (known) return known;
    throw missingFrom(this.table, organisationNotFound(id));
  }
}

function requireInstallation({ orgId }: Caller, to: string): void {
  if (orgId === DEFAULT_ORG) return;
  throw new Rejected(
    'forbidden',
    'organisation.not_installation',
    `Only admins of the first organisation ${to}. Ask the operator of this installation.`,
  );
}

const maySee = ({ orgId, roles }: Caller, id: string): boolean =>
  id === orgId || (orgId === DEFAULT_ORG && roles.includes('admin'));
