import { Readable } from 'node:stream';

import {
  Body,
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  Inject,
  Param,
  Patch,
  Post,
  Put,
  Query,
  Res,
  StreamableFile,
} from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiHeader, ApiOperation, ApiProduces, ApiQuery, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import { type Caller, newIdFor } from '#libs/access/src/caller.js';
import { Answers, AnswersPage, Takes } from '#libs/access/src/shapes.controller.js';
import { TokenTable } from '#libs/access/src/token/token.table.js';
import { etagOf, revisionOf } from '#libs/access/src/etag.js';
import { carryOut } from '#libs/event-store/src/carry-out.js';
import type { Committed, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { WrongRevision } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import {
  RuleAnswer,
  RuleChanges,
  RuleVersionAnswer,
  SavedRule,
  type RuleDefinition,
  type RuleWarning,
} from '#libs/events/src/shapes/rule-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { isObject } from '#libs/kernel/src/json.js';
import type { Page } from '#libs/kernel/src/paging.js';
import { readPage } from '#libs/persistence/src/paging.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { VocabularyTable } from '#libs/vocabulary/src/vocabulary.table.js';

import { checkRule, type CompiledDefinition, compileDefinition } from '../language/definition.js';
import { RuleBody } from '../language/rule-schema.js';
import { warningsOf } from '../language/warnings.js';
import { RuleNames } from './rule-names.adapter.js';
import { refuseTooMany, exportRules, rulesQuery, wantsYaml, YAML } from './rule-rows.adapter.js';
import { ruleYaml } from './rule-yaml.js';
import { ArchiveRule, CreateRule, DisableRule, EnableRule, UpdateRule, notFound, type Rule } from './rule.js';
import { RuleVersionView, RuleView } from './rule.view.js';

interface Reply {
  header(name: string, value: string): unknown;
}

const IfMatch = ApiHeader({ name: 'If-Match', required: false, description: 'The ETag of the rule that you read.' });

@ApiTags('rules')
@Controller('api/v1/rules')
export class RuleController {
  private readonly names: RuleNames;

  constructor(
    @Inject(CommandBus) readonly commands: CommandBus,
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(Progress) readonly progress: Progress,
    @Inject(Plugins) private readonly plugins: Plugins,
    @Inject(TokenTable) private readonly tokens: TokenTable,
    @Inject(VocabularyTable) private readonly vocabulary: VocabularyTable,
  ) {
    this.names = new RuleNames(database);
  }

  @Post()
  @Roles('designer')
  @ApiOperation({
    summary: 'Save a new rule',
    description: 'It applies to events recorded after this answer. An organisation has at most 10,000.',
  })
  @Takes(RuleBody)
  @Answers(SavedRule, 201)
  async create(
    @CurrentCaller() caller: Caller,
    @Body() body: object,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<SavedRule> {
    const { definition, enabled, compiled } = checkRule(body, this.plugins.actions);
    await refuseTooMany(this.database, caller.orgId);
    const id = newIdFor(caller, 'rul');
    const committed = await this.names.using(caller.orgId, definition.name, id, () =>
      this.execute(new CreateRule(id, caller, definition, enabled)),
    );
    return { ...saved(committed, reply), warnings: this.warnings(caller, definition, compiled) };
  }

  @Get()
  @ApiOperation({
    summary: 'List rules',
    description:
      'Archived rules only with `status=archived`. With `Accept: application/yaml` all rules as a stream of YAML documents for `millrace apply`.',
  })
  @ApiQuery({ name: 'status', enum: ['enabled', 'disabled', 'archived'], required: false })
  @AnswersPage(RuleAnswer)
  @ApiProduces('application/json', YAML)
  async list(
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: Reply,
    @Query('status') status?: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
    @Headers('accept') accept?: string,
  ): Promise<Page<RuleAnswer> | StreamableFile> {
    reply.header('vary', 'accept');
    if (wantsYaml(accept)) {
      const documents = Readable.from(exportRules(this.database, caller.orgId, status), { objectMode: false });
      return new StreamableFile(documents, { type: YAML_TYPE });
    }
    const query = rulesQuery(this.database, caller.orgId, status);
    const { rows, nextCursor } = await readPage(query, { limit, cursor }, { id: 'text' });
    return { data: rows.map(answerOf), nextCursor };
  }

  @Get(':id')
  @ApiOperation({
    summary: 'One rule',
    description: 'Use the ETag as `If-Match`. With `Accept: application/yaml`: a file for `millrace apply`.',
  })
  @ApiProduces('application/json', YAML)
  @Answers(RuleAnswer)
  async view(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: Reply,
    @Headers('accept') accept?: string,
  ): Promise<RuleAnswer | string> {
    const row = await this.find(caller, id);
    reply.header('etag', etagOf(row.revision));
    reply.header('vary', 'accept');
    if (!wantsYaml(accept)) return answerOf(row);
    reply.header('content-type', YAML_TYPE);
    return ruleYaml(row);
  }

  @Get(':id/versions')
  @ApiOperation({ summary: 'List the versions of a rule', description: 'Newest first.' })
  @AnswersPage(RuleVersionAnswer)
  async versions(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<RuleVersionAnswer>> {
    await this.find(caller, id);
    const query = this.database.getRepository(RuleVersionView).createQueryBuilder('version');
    query.where('version.ruleId = :id', { id });
    const { rows, nextCursor } = await readPage(query, { limit, cursor }, { version: 'number' }, 'DESC');
    return { data: rows.map((row) => this.versionOf(row)), nextCursor };
  }

  @Put(':id')
  @Roles('designer')
  @ApiOperation({ summary: 'Replace a rule', description: 'Makes a new version if something changed.' })
  @Takes(RuleBody)
  @IfMatch
  @Answers(SavedRule)
  async replace(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() body: object,
    @Res({ passthrough: true }) reply: Reply,
    @Headers('if-match') ifMatch?: string,
  ): Promise<SavedRule> {
    const isSaid = isObject(body) && Object.hasOwn(body, 'enabled');
    const { definition, enabled, compiled } = checkRule(body, this.plugins.actions);
    const { name } = (await this.find(caller, id)).definition;
    const command = new UpdateRule(id, caller, definition, isSaid ? enabled : undefined, revisionOf(ifMatch));
    const committed = await this.renamed(command, name, () => this.execute(command));
    return { ...saved(committed, reply), warnings: this.warnings(caller, definition, compiled) };
  }

  @Patch(':id')
  @Roles('designer')
  @ApiOperation({
    summary: 'Change parts of a rule',
    description: '`{ "enabled": false }` disables it; `{ "throttle": null }` removes that part.',
  })
  @Takes(RuleChanges)
  @IfMatch
  @Answers(SavedRule)
  async change(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() body: object,
    @Res({ passthrough: true }) reply: Reply,
    @Headers('if-match') ifMatch?: string,
  ): Promise<SavedRule> {
    const row = await this.find(caller, id);
    if (!isObject(body)) throw new Rejected('invalid', 'rule.invalid', 'The changes must be a JSON object.');
    if (Object.keys(body).length === 1 && typeof body['enabled'] === 'boolean') {
      const Switch = body['enabled'] ? EnableRule : DisableRule;
      const committed = await this.execute(new Switch(id, caller, revisionOf(ifMatch)));
      const answer = saved(committed, reply);
      const compiled = compileDefinition(row.definition);
      return { ...answer, warnings: this.warnings(caller, row.definition, compiled) };
    }
    // As JSON Merge Patch has it: null takes a part away.
    const parts = Object.entries({ ...row.definition, ...body }).filter(([, value]) => value !== null);
    const { definition, enabled, compiled } = checkRule(Object.fromEntries(parts), this.plugins.actions);
    const isSaid = Object.hasOwn(body, 'enabled') && body['enabled'] !== null;
    // What was merged must be what is there: another change in between is a conflict, not lost.
    const asked = revisionOf(ifMatch);
    const merged = asked === undefined ? BigInt(row.revision) : undefined;
    const command = new UpdateRule(id, caller, definition, isSaid ? enabled : undefined, asked ?? merged);
    const committed = await this.renamed(command, row.definition.name, () => this.execute(command, merged));
    return { ...saved(committed, reply), warnings: this.warnings(caller, definition, compiled) };
  }

  @Delete(':id')
  @Roles('designer')
  @HttpCode(204)
  @ApiOperation({ summary: 'Archive a rule', description: 'It cannot be enabled again; its decisions stay.' })
  @IfMatch
  async archive(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: Reply,
    @Headers('if-match') ifMatch?: string,
  ): Promise<void> {
    const expected = await this.expected(caller, id, ifMatch);
    const { revision } = await this.execute(new ArchiveRule(id, caller, expected));
    reply.header('etag', etagOf(revision));
  }

  /** A name that stays is not checked: rules of earlier versions may share one. */
  private renamed<T>({ id, author, definition }: UpdateRule, before: string, save: () => Promise<T>): Promise<T> {
    return definition.name === before ? save() : this.names.using(author.orgId, definition.name, id, save);
  }

  private warnings({ orgId }: Caller, ...rule: readonly [RuleDefinition, CompiledDefinition]): RuleWarning[] {
    return warningsOf(...rule, this.vocabulary.of(orgId));
  }

  /** What `If-Match` names. The rule is looked for first: a revision must tell nobody that somebody else's rule is there. */
  private async expected(caller: Caller, id: string, ifMatch: string | undefined): Promise<bigint | undefined> {
    const revision = revisionOf(ifMatch);
    if (revision !== undefined) await this.find(caller, id);
    return revision;
  }

  /** @param merged the revision that a change was merged with, where the caller named none: 409, not 412. */
  private async execute(command: ThingCommand<Rule>, merged?: bigint): Promise<Committed<Rule>> {
    try {
      return await carryOut(this, command, followers.ruleViews);
    } catch (error) {
      if (!(error instanceof WrongRevision) || command.expectedRevision === merged) throw error;
      throw new Rejected('conflict', 'revision.changed', 'The rule was changed since you read it. Read it again.');
    }
  }

  private versionOf({ orgId, version, definition, savedBy, savedAt }: RuleVersionView): RuleVersionAnswer {
    const savedByName = this.tokens.nameOf(orgId, savedBy) ?? null;
    return { version, ...definition, savedBy, savedByName, savedAt: savedAt.toISOString() };
  }

  private async find({ orgId }: Caller, id: string): Promise<RuleView> {
    const row = await this.database.getRepository(RuleView).findOneBy({ id, orgId });
    if (!row) throw notFound(id);
    return row;
  }
}

const YAML_TYPE = `${YAML}; charset=utf-8`;

const answerOf = ({ id, definition, status, version, createdAt, updatedAt }: RuleView): RuleAnswer => ({
  id,
  ...definition,
  enabled: status === 'enabled',
  status,
  version,
  createdAt: createdAt.toISOString(),
  updatedAt: updatedAt.toISOString(),
});

function saved({ id, state, revision, createdAt, updatedAt }: Committed<Rule>, reply: Reply): RuleAnswer {
  if (state.status === 'unknown') throw notFound(id);
  const { orgId, version, status, definition } = state;
  reply.header('etag', etagOf(revision));
  const { name } = definition;
  return answerOf({ id, orgId, name, version, status, definition, revision: String(revision), createdAt, updatedAt });
}
