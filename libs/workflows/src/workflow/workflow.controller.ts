import { Controller, Delete, Get, HttpCode, Inject, Param, Post, Put, Query, Req } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiBody, ApiConsumes, ApiOperation, ApiProperty, ApiQuery, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import type { Committed } from '#libs/event-store/src/command-handlers.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { type Problem, Rejected } from '#libs/kernel/src/errors.js';
import { isObject } from '#libs/kernel/src/json.js';
import { type Page, pageOf, pagingOf } from '#libs/persistence/src/paging.js';

import { parseWorkflow } from '../language/reading/parse-workflow.js';
import { StepLibrary } from '../steps/step-library.js';
import { checkedSource, type SourceWarning, warningsIn } from './workflow-source.js';
import {
  ActivateWorkflow,
  ArchiveWorkflow,
  SaveWorkflow,
  notFound,
  versionOf,
  type Workflow,
  workflowIdOf,
} from './workflow.js';
import { WorkflowTable } from './workflow.table.js';
import { WorkflowVersionView, WorkflowView } from './workflow.view.js';

/** For the API's description: the parser checks the text. */
export class WorkflowBody {
  @ApiProperty({
    description: 'The workflow, YAML.',
    example: 'name: hello\nsteps:\n  - uses: log\n    with: { message: Hello }\n',
  })
  source!: string;
}

export class ActivationBody {
  @ApiProperty({ description: 'One of the versions of the workflow.', example: '3f1c0a9be4d27586' })
  version!: string;
}

interface Checked {
  readonly valid: boolean;
  readonly version: string;
  readonly errors: readonly Problem[];
  readonly warnings: readonly SourceWarning[];
}

@ApiTags('workflows')
@Controller('api/v1/workflows')
export class WorkflowController {
  constructor(
    @Inject(CommandBus) private readonly commands: CommandBus,
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(StepLibrary) private readonly library: StepLibrary,
    @Inject(WorkflowTable) private readonly table: WorkflowTable,
  ) {}

  @Put(':name')
  @Roles('designer')
  @ApiOperation({
    summary: 'Save a workflow and activate it',
    description:
      'A new version, unless the text is one already. Runs under way keep the version that they began with. `warnings` are about what is allowed and probably not meant.',
  })
  @ApiConsumes('application/json', 'text/yaml')
  @ApiBody({ type: WorkflowBody })
  async save(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Req() request: { body: unknown },
  ): Promise<object> {
    const source = sourceIn(request.body);
    const warnings = checkedSource(source, this.library, name);
    const id = workflowIdOf(caller.orgId, name);
    await this.settled(await this.commands.execute(new SaveWorkflow(id, caller, name, source, 'api')));
    return { ...(await this.view(caller, name)), warnings };
  }

  @Post('validate')
  @Roles('designer', 'integrator', 'auditor')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Check a workflow without saving it',
    description: '`errors` and `warnings`, each with line and column. A text with warnings alone is valid.',
  })
  @ApiConsumes('application/json', 'text/yaml')
  @ApiBody({ type: WorkflowBody })
  validate(@Req() request: { body: unknown }): Checked {
    const source = sourceIn(request.body);
    const parsed = parseWorkflow(source, this.library);
    return {
      valid: parsed.ok,
      version: versionOf(source),
      errors: parsed.ok ? [] : parsed.problems,
      warnings: warningsIn(parsed),
    };
  }

  @Get()
  @ApiOperation({ summary: 'List workflows', description: 'Archived ones only with `status=archived`.' })
  @ApiQuery({ name: 'status', enum: ['active', 'archived'], required: false })
  @ApiQuery({ name: 'limit', required: false })
  @ApiQuery({ name: 'cursor', required: false })
  async list(
    @CurrentCaller() { orgId }: Caller,
    @Query('status') status?: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<object>> {
    const paging = pagingOf(limit, cursor, 1);
    const query = this.database
      .getRepository(WorkflowView)
      .createQueryBuilder('workflow')
      .where('workflow.orgId = :orgId', { orgId })
      .andWhere('workflow.status = :status', { status: status === 'archived' ? 'archived' : 'active' })
      .orderBy('workflow.name')
      .limit(paging.limit + 1);
    if (paging.after) query.andWhere('workflow.name > :after', { after: paging.after[0] });
    return pageOf(
      await query.getMany(),
      paging,
      ({ name }) => [name],
      (row) => this.answerOf(row),
    );
  }

  @Get(':name')
  @ApiOperation({ summary: 'One workflow, with the active text' })
  async view(@CurrentCaller() caller: Caller, @Param('name') name: string): Promise<object> {
    const row = await this.find(caller, name);
    const version = await this.version(row, row.version);
    return { ...this.answerOf(row), number: version.number, source: version.source };
  }

  @Get(':name/versions')
  @ApiOperation({ summary: 'Every version of a workflow', description: 'Newest first.' })
  @ApiQuery({ name: 'limit', required: false })
  @ApiQuery({ name: 'cursor', required: false })
  async versions(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<object>> {
    const row = await this.find(caller, name);
    const paging = pagingOf(limit, cursor, 1);
    const query = this.database
      .getRepository(WorkflowVersionView)
      .createQueryBuilder('version')
      .where('version.workflowId = :id', { id: row.id })
      .orderBy('version.number', 'DESC')
      .limit(paging.limit + 1);
    if (paging.after) query.andWhere('version.number < :after', { after: Number(paging.after[0]) || 0 });
    return pageOf(
      await query.getMany(),
      paging,
      ({ number }) => [String(number)],
      (version) => versionAnswer(version, row),
    );
  }

  @Get(':name/versions/:version')
  @ApiOperation({ summary: 'One version of a workflow, with its text' })
  async oneVersion(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Param('version') version: string,
  ): Promise<object> {
    const row = await this.find(caller, name);
    const found = await this.version(row, version);
    return { ...versionAnswer(found, row), source: found.source };
  }

  @Post(':name/activate')
  @Roles('designer')
  @HttpCode(200)
  @ApiOperation({ summary: 'Activate an earlier version' })
  @ApiBody({ type: ActivationBody })
  async activate(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Req() request: { body: unknown },
  ): Promise<object> {
    const version = isObject(request.body) ? request.body['version'] : undefined;
    if (typeof version !== 'string')
      throw new Rejected('invalid', 'workflow.no_version', 'Send { "version": … } with one of the versions.', {
        problems: [{ pointer: '/version', detail: 'Must be a string.' }],
      });
    const id = workflowIdOf(caller.orgId, name);
    await this.settled(await this.commands.execute(new ActivateWorkflow(id, caller, version)));
    return this.view(caller, name);
  }

  @Delete(':name')
  @Roles('designer')
  @HttpCode(204)
  @ApiOperation({ summary: 'Archive a workflow', description: 'It starts no more runs; runs under way go on.' })
  async archive(@CurrentCaller() caller: Caller, @Param('name') name: string): Promise<void> {
    const id = workflowIdOf(caller.orgId, name);
    await this.settled(await this.commands.execute(new ArchiveWorkflow(id, caller, 'archived through the API')));
  }

  private answerOf(row: WorkflowView): object {
    const description = this.table.find(row.orgId, row.name)?.definition?.description;
    return { ...answerOf(row), ...(description === undefined ? {} : { description }) };
  }

  /** The next read shows it, and the next manual start uses it. */
  private async settled({ position }: Committed<Workflow>): Promise<void> {
    await Promise.all([
      this.progress.whenProcessed(followers.workflowViews, position),
      this.progress.whenProcessed(followers.workflows, position),
      this.progress.whenProcessed(followers.startRuns, position),
    ]);
  }

  private async find({ orgId }: Caller, name: string): Promise<WorkflowView> {
    const row = await this.database.getRepository(WorkflowView).findOneBy({ orgId, name });
    if (!row) throw notFound(name);
    return row;
  }

  private async version(row: WorkflowView, version: string): Promise<WorkflowVersionView> {
    const found = await this.database.getRepository(WorkflowVersionView).findOneBy({ workflowId: row.id, version });
    if (!found)
      throw new Rejected('not_found', 'workflow.version_not_found', `There is no version ${version} of ${row.name}.`);
    return found;
  }
}

/** YAML as it is, or as the `source` of a JSON object. */
function sourceIn(body: unknown): string {
  if (typeof body === 'string') return body;
  if (Buffer.isBuffer(body)) return body.toString('utf8');
  if (isObject(body) && typeof body['source'] === 'string' && Object.keys(body).length === 1) return body['source'];
  throw new Rejected(
    'invalid',
    'workflow.no_source',
    'Send the workflow as YAML with "Content-Type: text/yaml", or as JSON: { "source": "name: …" }.',
    { problems: [{ pointer: '/source', detail: 'Must be a string, and the only key.' }] },
  );
}

const answerOf = (row: WorkflowView) => ({
  id: row.id,
  name: row.name,
  status: row.status,
  version: row.version,
  origin: row.origin,
  file: row.file,
  createdAt: row.createdAt.toISOString(),
  updatedAt: row.updatedAt.toISOString(),
});

const versionAnswer = (version: WorkflowVersionView, row: WorkflowView) => ({
  version: version.version,
  number: version.number,
  active: row.status === 'active' && row.version === version.version,
  origin: version.origin,
  file: version.file,
  savedBy: version.savedBy,
  savedAt: version.savedAt.toISOString(),
});
