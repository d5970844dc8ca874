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
import {
  ApiBody,
  ApiHeader,
  ApiOperation,
  ApiProduces,
  ApiProperty,
  ApiPropertyOptional,
  ApiQuery,
  ApiResponse,
  ApiTags,
} from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import { type Caller, newIdFor } from '#libs/access/src/caller.js';
import type { Committed } from '#libs/event-store/src/command-handlers.js';
import { WrongRevision } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { isObject } from '#libs/kernel/src/json.js';
import { type Page, pageOf, pagingOf } from '#libs/persistence/src/paging.js';
import { Plugins } from '#libs/plugin-sdk/src/plugins.js';

import { checkRule, compileDefinition } from '../language/definition.js';
import { type RuleWarning, warningsOf } from '../language/warnings.js';
import { refuseTooMany, exportRules, rulesQuery, wantsYaml, YAML } from './rule-rows.adapter.js';
import { ruleYaml } from './rule-yaml.js';
import { ArchiveRule, CreateRule, DisableRule, EnableRule, UpdateRule, notFound, type Rule } from './rule.js';
import { RuleVersionView, RuleView } from './rule.view.js';

/** The body of a rule, for the API's description: it is checked by `checkRule`, which knows every level. */
export class RuleBody {
  @ApiProperty({ example: 'critical alerts' })
  name!: string;
  @ApiPropertyOptional()
  description?: string;
  @ApiPropertyOptional({ default: true })
  enabled?: boolean;
  @ApiPropertyOptional({ default: '*', description: 'A source, a glob or `*`.', example: 'github' })
  eventSource?: string;
  @ApiProperty({ description: 'An event type, a glob (`pr.*`) or `*`.', example: 'webhook.received' })
  eventType!: string;
  @ApiPropertyOptional({
    type: Object,
    description: 'A condition `{ field, operator, value }` or `{ expression }`, or a group `{ all | any | not }`.',
    example: { field: 'data.payload.severity', operator: 'equals', value: 'critical' },
  })
  conditions?: unknown;
  @ApiPropertyOptional({
    type: [Object],
    description: 'What is asked for when the rule matches, in order.',
    example: [{ type: 'create_issue', with: { title: '${{ data.payload.message }}', priority: 'high' } }],
  })
  actions?: unknown[];
  @ApiPropertyOptional({
    type: Object,
    description: 'At most `limit` matches a `per` for each value of `key`.',
    example: { key: '${{ data.payload.host }}', limit: 1, per: '10m' },
  })
  throttle?: unknown;
  @ApiPropertyOptional({
    type: Object,
    description: 'Of matches with the same key that follow each other within `quiet` the first alone acts.',
    example: { key: '${{ data.payload.host }}', quiet: '5m' },
  })
  once?: unknown;
  @ApiPropertyOptional({
    type: Object,
    description:
      'Of such matches the last alone acts, once `quiet` has passed, or `maxWait` since the first. Not beside `once`.',
    example: { key: '${{ data.repository.fullName }}', quiet: '5m', maxWait: '1h' },
  })
  debounce?: unknown;
  @ApiPropertyOptional({
    type: Object,
    description: 'Days and hours at which the rule acts, by the time at which the event was recorded.',
    example: { days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '09:00', to: '17:00', timezone: 'Europe/Berlin' },
  })
  window?: unknown;
}

export class RuleAnswer extends RuleBody {
  @ApiProperty({ example: 'rul_01jq5x1d0wkz4s3v2n8m7b6c5a' })
  id!: string;
  @ApiProperty({ enum: ['enabled', 'disabled', 'archived'] })
  status!: string;
  @ApiProperty({ description: 'Counts the saves that changed something.' })
  version!: number;
  @ApiProperty({ format: 'date-time' })
  createdAt!: string;
  @ApiProperty({ format: 'date-time' })
  updatedAt!: string;
}

export class SavedRule extends RuleAnswer {
  @ApiProperty({ type: [Object], description: 'What is allowed and probably not meant, by JSON pointer and column.' })
  warnings!: readonly RuleWarning[];
}

interface Reply {
  header(name: string, value: string): unknown;
}

@ApiTags('rules')
@Controller('api/v1/rules')
export class RuleController {
  constructor(
    @Inject(CommandBus) private readonly commands: CommandBus,
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(Plugins) private readonly plugins: Plugins,
  ) {}

  @Post()
  @Roles('designer')
  @ApiOperation({
    summary: 'Save a new rule',
    description: 'It holds for every event recorded after this answer. An organisation has at most 10,000.',
  })
  @ApiBody({ type: RuleBody })
  @ApiResponse({ status: 201, type: SavedRule })
  async create(
    @CurrentCaller() caller: Caller,
    @Body() body: object,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<SavedRule> {
    const { definition, enabled, compiled } = checkRule(body, this.plugins.actions);
    await refuseTooMany(this.database, caller.orgId);
    const id = newIdFor(caller, 'rul');
    const committed = await this.commands.execute(new CreateRule(id, caller, definition, enabled));
    return { ...(await this.saved(caller, committed, reply)), warnings: warningsOf(definition, compiled) };
  }

  @Get()
  @ApiOperation({
    summary: 'List rules',
    description:
      'Archived ones only with `status=archived`. With `Accept: application/yaml` all of them at once, as a stream of YAML documents that `millrace apply` reads.',
  })
  @ApiQuery({ name: 'status', enum: ['enabled', 'disabled', 'archived'], required: false })
  @ApiQuery({ name: 'limit', required: false })
  @ApiQuery({ name: 'cursor', required: false })
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
    const paging = pagingOf(limit, cursor, 1);
    const query = rulesQuery(this.database, caller.orgId, status, paging.after?.[0]).limit(paging.limit + 1);
    return pageOf(await query.getMany(), paging, ({ id }) => [id], answerOf);
  }

  @Get(':id')
  @ApiOperation({
    summary: 'One rule',
    description: 'The ETag is what `If-Match` takes. With `Accept: application/yaml` as a file for `millrace apply`.',
  })
  @ApiProduces('application/json', YAML)
  @ApiResponse({ status: 200, type: RuleAnswer })
  async view(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: Reply,
    @Headers('accept') accept?: string,
  ): Promise<RuleAnswer | string> {
    const row = await this.find(caller, id);
    reply.header('etag', etagOf(row));
    reply.header('vary', 'accept');
    if (!wantsYaml(accept)) return answerOf(row);
    reply.header('content-type', YAML_TYPE);
    return ruleYaml(row);
  }

  @Get(':id/versions')
  @ApiOperation({ summary: 'Every version of a rule', description: 'Newest first.' })
  async versions(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<object>> {
    await this.find(caller, id);
    const paging = pagingOf(limit, cursor, 1);
    const query = this.database
      .getRepository(RuleVersionView)
      .createQueryBuilder('version')
      .where('version.ruleId = :id', { id })
      .orderBy('version.version', 'DESC')
      .limit(paging.limit + 1);
    if (paging.after) query.andWhere('version.version < :after', { after: Number(paging.after[0]) || 0 });
    return pageOf(
      await query.getMany(),
      paging,
      ({ version }) => [String(version)],
      ({ version, definition, savedBy, savedAt }) => ({
        version,
        ...definition,
        savedBy,
        savedAt: savedAt.toISOString(),
      }),
    );
  }

  @Put(':id')
  @Roles('designer')
  @ApiOperation({ summary: 'Save a rule again', description: 'A new version, unless nothing changed.' })
  @ApiBody({ type: RuleBody })
  @ApiHeader({ name: 'If-Match', required: false })
  @ApiResponse({ status: 200, type: SavedRule })
  async replace(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() body: object,
    @Res({ passthrough: true }) reply: Reply,
    @Headers('if-match') ifMatch?: string,
  ): Promise<SavedRule> {
    const isSaid = Object.hasOwn(body, 'enabled');
    const { definition, enabled, compiled } = checkRule(body, this.plugins.actions);
    const expected = await this.expected(caller, id, ifMatch);
    const committed = await this.execute(
      new UpdateRule(id, caller, definition, isSaid ? enabled : undefined, expected),
    );
    return { ...(await this.saved(caller, committed, reply)), warnings: warningsOf(definition, compiled) };
  }

  @Patch(':id')
  @Roles('designer')
  @ApiOperation({
    summary: 'Change parts of a rule',
    description: '`{ "enabled": false }` switches it off; `{ "throttle": null }` takes that part away.',
  })
  @ApiBody({ type: RuleBody })
  @ApiHeader({ name: 'If-Match', required: false })
  @ApiResponse({ status: 200, type: SavedRule })
  async change(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() body: object,
    @Res({ passthrough: true }) reply: Reply,
    @Headers('if-match') ifMatch?: string,
  ): Promise<SavedRule> {
    const row = await this.find(caller, id);
    if (!isObject(body)) throw new Rejected('invalid', 'rule.invalid', 'The changes are a JSON object.');
    if (Object.keys(body).length === 1 && typeof body['enabled'] === 'boolean') {
      const Switch = body['enabled'] ? EnableRule : DisableRule;
      const committed = await this.execute(new Switch(id, caller, revisionOf(ifMatch)));
      const answer = await this.saved(caller, committed, reply);
      return { ...answer, warnings: warningsOf(row.definition, compileDefinition(row.definition)) };
    }
    // As JSON Merge Patch has it: null takes a part away.
    const parts = Object.entries({ ...row.definition, ...body }).filter(([, value]) => value !== null);
    const { definition, enabled, compiled } = checkRule(Object.fromEntries(parts), this.plugins.actions);
    const isSaid = Object.hasOwn(body, 'enabled') && body['enabled'] !== null;
    // What was merged must be what is there: another change in between is a conflict, not lost.
    const asked = revisionOf(ifMatch);
    const merged = asked === undefined ? BigInt(row.revision) : undefined;
    const committed = await this.execute(
      new UpdateRule(id, caller, definition, isSaid ? enabled : undefined, asked ?? merged),
      merged,
    );
    return { ...(await this.saved(caller, committed, reply)), warnings: warningsOf(definition, compiled) };
  }

  @Delete(':id')
  @Roles('designer')
  @HttpCode(204)
  @ApiOperation({ summary: 'Archive a rule', description: 'For good; its decisions stay.' })
  @ApiHeader({ name: 'If-Match', required: false })
  async archive(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: Reply,
    @Headers('if-match') ifMatch?: string,
  ): Promise<void> {
    const expected = await this.expected(caller, id, ifMatch);
    const { position, revision } = await this.execute(new ArchiveRule(id, caller, expected));
    await this.progress.whenProcessed(followers.ruleViews, position);
    reply.header('etag', `"${revision}"`);
  }

  /** What `If-Match` names. The rule is looked for first: a revision must tell nobody that somebody else's rule is there. */
  private async expected(caller: Caller, id: string, ifMatch: string | undefined): Promise<bigint | undefined> {
    const revision = revisionOf(ifMatch);
    if (revision !== undefined) await this.find(caller, id);
    return revision;
  }

  /** @param merged the revision that a change was merged with, where the caller named none: 409, not 412. */
  private async execute(
    command: UpdateRule | EnableRule | DisableRule | ArchiveRule,
    merged?: bigint,
  ): Promise<Committed<Rule>> {
    try {
      return await this.commands.execute(command);
    } catch (error) {
      if (!(error instanceof WrongRevision) || command.expectedRevision === merged) throw error;
      throw new Rejected('conflict', 'revision.changed', 'The rule was changed in the meantime: read it again first.');
    }
  }

  private async saved(caller: Caller, { id, position }: Committed<Rule>, reply: Reply): Promise<RuleAnswer> {
    await this.progress.whenProcessed(followers.ruleViews, position);
    const row = await this.find(caller, id);
    reply.header('etag', etagOf(row));
    return answerOf(row);
  }

  private async find({ orgId }: Caller, id: string): Promise<RuleView> {
    const row = await this.database.getRepository(RuleView).findOneBy({ id, orgId });
    if (!row) throw notFound(id);
    return row;
  }
}

const YAML_TYPE = `${YAML}; charset=utf-8`;

const etagOf = ({ revision }: RuleView): string => `"${revision}"`;

function revisionOf(ifMatch: string | undefined): bigint | undefined {
  if (ifMatch === undefined || ifMatch === '' || ifMatch === '*') return undefined;
  const match = /^"(\d{1,18})"$/.exec(ifMatch.trim());
  if (match) return BigInt(match[1]!);
  throw new Rejected('conflict', 'revision.changed', 'If-Match must be the ETag that reading the rule gave.');
}

const answerOf = ({ id, definition, status, version, createdAt, updatedAt }: RuleView): RuleAnswer => ({
  id,
  ...definition,
  enabled: status === 'enabled',
  status,
  version,
  createdAt: createdAt.toISOString(),
  updatedAt: updatedAt.toISOString(),
});
