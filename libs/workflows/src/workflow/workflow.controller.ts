import { Controller, Delete, Get, HttpCode, Inject, Param, Post, Put, Query, Req } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiConsumes, ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers, AnswersPage, Takes } from '#libs/access/src/shapes.controller.js';
import { carryOut } from '#libs/event-store/src/carry-out.js';
import type { Committed, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import type { Assuming } from '#libs/events/src/shapes/event-types/assuming-shape.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import {
  Activation,
  SavedWorkflow,
  WorkflowAnswer,
  WorkflowCheck,
  WorkflowDetails,
  WorkflowSource,
  WorkflowToCheck,
  WorkflowVersionAnswer,
  WorkflowVersionDetails,
} from '#libs/events/src/shapes/workflow-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import type { Page } from '#libs/kernel/src/paging.js';
import { readPage } from '#libs/persistence/src/paging.js';
import { assuming } from '#libs/vocabulary/src/vocabulary.js';
import { VocabularyTable } from '#libs/vocabulary/src/vocabulary.table.js';

import { declaredInputs } from '../language/inputs.js';
import { parseWorkflow } from '../language/reading/parse-workflow.js';
import { type Vocabulary, vocabularyOf } from '../language/vocabulary.js';
import { StepLibrary } from '../steps/step-library.js';
import { webhooksOf } from '../triggers/webhook.trigger.js';
import { BOOLEANS, narrowWorkflows, STATUSES } from './workflow-filter.js';
import { checkedSource, warningsIn } from './workflow-source.js';
import {
  ActivateWorkflow,
  ArchiveWorkflow,
  SaveWorkflow,
  notFound,
  versionOf,
  type Workflow,
  workflowIdOf,
} from './workflow.js';
import { hasOwn, WorkflowWebhooks } from './workflow-webhook.js';
import { WorkflowTable } from './workflow.table.js';
import { WorkflowVersionView, WorkflowView } from './workflow.view.js';

@ApiTags('workflows')
@Controller('api/v1/workflows')
export class WorkflowController {
  constructor(
    @Inject(CommandBus) readonly commands: CommandBus,
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Progress) readonly progress: Progress,
    @Inject(StepLibrary) private readonly library: StepLibrary,
    @Inject(WorkflowTable) private readonly table: WorkflowTable,
    @Inject(VocabularyTable) private readonly known: VocabularyTable,
    @Inject(WorkflowWebhooks) private readonly webhooks: WorkflowWebhooks,
  ) {}

  @Put(':name')
  @Roles('designer')
  @ApiOperation({
    summary: 'Save a workflow and activate it',
    description:
      'Creates a new version, unless the text is an existing version. Active runs keep their version. A workflow with a webhook trigger of its own gets an integration: `webhook` has its URL and, when it is made, its secret. `warnings` are about things that are allowed but probably not intended.',
  })
  @ApiConsumes('application/json', 'text/yaml')
  @Takes(WorkflowSource)
  @Answers(SavedWorkflow)
  async save(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Req() request: { body: unknown },
  ): Promise<SavedWorkflow> {
    const { source } = sourceIn(request.body, WorkflowSource);
    const { definition, warnings } = checkedSource(source, this.vocabulary(caller), name);
    const id = workflowIdOf(caller.orgId, name);
    const uses = webhooksOf(definition.triggers);
    const webhook = hasOwn(uses) ? await this.webhooks.prepare(caller.orgId, id) : undefined;
    const committed = await this.run(new SaveWorkflow(id, caller, name, source, 'api', undefined, uses));
    if (webhook) await this.webhooks.untilMade(committed.position);
    return { ...(await this.saved(caller, committed)), ...(webhook && { webhook }), warnings: [...warnings] };
  }

  @Post('validate')
  @Roles('designer', 'integrator', 'auditor')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Check a workflow without saving it',
    description: '`errors` and `warnings`, each with line and column. A text with warnings alone is valid.',
  })
  @ApiConsumes('application/json', 'text/yaml')
  @Takes(WorkflowToCheck)
  @Answers(WorkflowCheck)
  validate(@CurrentCaller() caller: Caller, @Req() request: { body: unknown }): WorkflowCheck {
    const { source, assuming: assumed } = sourceIn(request.body, WorkflowToCheck);
    const parsed = parseWorkflow(source, this.vocabulary(caller, assumed));
    return {
      valid: parsed.ok,
      version: versionOf(source),
      errors: parsed.ok ? [] : [...parsed.problems],
      warnings: [...warningsIn(parsed)],
    };
  }

  @Get()
  @ApiOperation({ summary: 'List workflows', description: 'Archived workflows only with `status=archived`.' })
  @ApiQuery({ name: 'status', enum: STATUSES, required: false })
  @ApiQuery({ name: 'paused', enum: BOOLEANS, required: false })
  @ApiQuery({ name: 'disabled', enum: BOOLEANS, required: false })
  @ApiQuery({
    name: 'label',
    type: [String],
    required: false,
    description: '`name:value`. May be repeated: workflows that have all of them.',
  })
  @AnswersPage(WorkflowAnswer)
  async list(
    @CurrentCaller() { orgId }: Caller,
    @Query('status') status?: string,
    @Query('paused') paused?: string,
    @Query('disabled') disabled?: string,
    @Query('label') label?: string | readonly string[],
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<WorkflowAnswer>> {
    const query = this.database.getRepository(WorkflowView).createQueryBuilder('workflow');
    narrowWorkflows(query, this.table, orgId, { status, paused, disabled, label });
    const { rows, nextCursor } = await readPage(query, { limit, cursor }, { name: 'text' });
    return { data: rows.map((row) => this.answerOf(row)), nextCursor };
  }

  @Get(':name')
  @ApiOperation({ summary: 'One workflow, with the active text' })
  @Answers(WorkflowDetails)
  async view(@CurrentCaller() caller: Caller, @Param('name') name: string): Promise<WorkflowDetails> {
    const row = await this.find(caller, name);
    const version = await this.version(row, row.version);
    return { ...this.answerOf(row), ...(await this.webhookOf(row)), number: version.number, source: version.source };
  }

  @Get(':name/versions')
  @ApiOperation({ summary: 'List the versions of a workflow', description: 'Newest first.' })
  @AnswersPage(WorkflowVersionAnswer)
  async versions(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<WorkflowVersionAnswer>> {
    const row = await this.find(caller, name);
    const query = this.database
      .getRepository(WorkflowVersionView)
      .createQueryBuilder('version')
      .where('version.workflowId = :id', { id: row.id });
    const { rows, nextCursor } = await readPage(query, { limit, cursor }, { number: 'number' }, 'DESC');
    return { data: rows.map((version) => versionAnswer(version, row)), nextCursor };
  }

  @Get(':name/versions/:version')
  @ApiOperation({ summary: 'One version of a workflow, with its text' })
  @Answers(WorkflowVersionDetails)
  async oneVersion(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Param('version') version: string,
  ): Promise<WorkflowVersionDetails> {
    const row = await this.find(caller, name);
    const found = await this.version(row, version);
    return { ...versionAnswer(found, row), source: found.source };
  }

  @Post(':name/activate')
  @Roles('designer')
  @HttpCode(200)
  @ApiOperation({ summary: 'Activate an earlier version' })
  @Takes(Activation)
  @Answers(WorkflowDetails)
  async activate(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Req() request: { body: unknown },
  ): Promise<WorkflowDetails> {
    const { version } = checkBody(Activation, request.body, { prefix: 'workflow' });
    const committed = await this.run(new ActivateWorkflow(workflowIdOf(caller.orgId, name), caller, version));
    const { state } = committed;
    if (state.kind === 'active' && hasOwn(state.webhooks[version] ?? []))
      await this.webhooks.untilMade(committed.position);
    return this.saved(caller, committed);
  }

  @Delete(':name')
  @Roles('designer')
  @HttpCode(204)
  @ApiOperation({ summary: 'Archive a workflow', description: 'It starts no more runs; active runs continue.' })
  async archive(@CurrentCaller() caller: Caller, @Param('name') name: string): Promise<void> {
    await this.run(new ArchiveWorkflow(workflowIdOf(caller.orgId, name), caller, 'archived through the API'));
  }

  /** With what the organisation has. */
  private vocabulary({ orgId }: Caller, assumed: Assuming = {}): Vocabulary {
    return vocabularyOf(this.library, assuming(this.known.of(orgId), assumed));
  }

  private async saved(
    { orgId }: Caller,
    { id, state, createdAt, updatedAt }: Committed<Workflow>,
  ): Promise<WorkflowDetails> {
    if (state.kind !== 'active') throw notFound();
    const { name, version, versions, origin, file = null } = state;
    const events = await readWhole(this.store, streams.workflow(id));
    const saved = events.find((event) => event.is('workflow.saved') && event.data.version === version);
    const source = saved?.is('workflow.saved') ? saved.data.source : '';
    const row = { id, orgId, name, status: state.kind, version, origin, file, createdAt, updatedAt };
    const number = versions.indexOf(version) + 1;
    return { ...this.answerOf(row), ...(await this.webhookOf(row)), number, source };
  }

  private async webhookOf({ orgId, name, id }: WorkflowView): Promise<Pick<WorkflowDetails, 'webhook'>> {
    const triggers = this.table.find(orgId, name)?.definition?.triggers ?? [];
    return hasOwn(webhooksOf(triggers)) ? { webhook: await this.webhooks.of(orgId, id) } : {};
  }

  private answerOf(row: WorkflowView): WorkflowAnswer {
    const { id, name, status, version, origin, file, createdAt, updatedAt } = row;
    const { definition, paused } = this.table.findAny(row.orgId, name) ?? {};
    const { description, labels = {}, disabled, triggers = [] } = definition ?? {};
    const inputs = declaredInputs({ triggers });
    return {
      id,
      name,
      ...(description === undefined ? {} : { description }),
      ...(Object.keys(labels).length === 0 ? {} : { labels }),
      ...(paused ? { paused } : {}),
      ...(disabled ? { disabled } : {}),
      ...(inputs && { inputs: { ...inputs } }),
      status,
      version,
      origin,
      file,
      createdAt: createdAt.toISOString(),
      updatedAt: updatedAt.toISOString(),
    };
  }

  /** The next read shows it, and the next manual start uses it. */
  private run(command: ThingCommand<Workflow>): Promise<Committed<Workflow>> {
    return carryOut(this, command, followers.workflowViews, followers.workflows, followers.startRuns);
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
function sourceIn(body: unknown, shape: typeof WorkflowSource | typeof WorkflowToCheck): WorkflowToCheck {
  if (typeof body === 'string') return { source: body };
  if (Buffer.isBuffer(body)) return { source: body.toString('utf8') };
  return checkBody(shape, body, { prefix: 'workflow' });
}

const versionAnswer = (version: WorkflowVersionView, row: WorkflowView): WorkflowVersionAnswer => ({
  version: version.version,
  number: version.number,
  active: row.status === 'active' && row.version === version.version,
  origin: version.origin,
  file: version.file,
  savedBy: version.savedBy,
  savedAt: version.savedAt.toISOString(),
});
