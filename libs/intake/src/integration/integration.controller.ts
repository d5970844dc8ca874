import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Patch, Post, Query } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { DataSource, In } from 'typeorm';

import { newAddressId } from '#libs/access/src/address-id.js';
import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { Answers, AnswersPage, Takes } from '#libs/access/src/shapes.controller.js';
import { Egress } from '#libs/egress/src/egress.js';
import { carryOut } from '#libs/event-store/src/carry-out.js';
import type { Committed, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { followers } from '#libs/events/src/followers.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import {
  CreatedIntegration,
  IntegrationAnswer,
  IntegrationChanges,
  NewIntegration,
} from '#libs/events/src/shapes/integration-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';
import type { Problems } from '#libs/kernel/src/problems.js';
import { PREFIXES } from '#libs/kernel/src/ids.js';
import { Settings } from '#libs/kernel/src/settings.js';
import type { Page } from '#libs/kernel/src/paging.js';
import { readPage } from '#libs/persistence/src/paging.js';
import type { Provider } from '#libs/plugin-sdk/src/define-provider.js';
import { Plugins, PRESETS_OF } from '#libs/plugin-sdk/src/loading/plugins.js';

import {
  CreateIntegration,
  DeleteIntegration,
  DisableIntegration,
  EnableIntegration,
  RotateSecret,
  UpdateIntegration,
  type Integration,
  integrationNotFound,
  pathTaken,
} from './integration.js';
import { IntegrationTable } from './integration.table.js';
import { integrationAnswer, IntegrationCounterView, IntegrationView, type Activity } from './integration.view.js';
import { newSlug, freshName, refuseDedupeKeyOfAskable, settingsChange, withStoredSecrets } from './settings-change.js';
import { checkSettings } from './settings-check.js';

const DEFAULT_GRACE_SECONDS = 86_400;

@ApiTags('integrations')
@Controller('api/v1/integrations')
export class IntegrationController {
  constructor(
    @Inject(CommandBus) readonly commands: CommandBus,
    @Inject(Progress) readonly progress: Progress,
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(Secrets) private readonly secrets: Secrets,
    @Inject(Plugins) private readonly plugins: Plugins,
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(IntegrationTable) private readonly table: IntegrationTable,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(Egress) private readonly egress: Egress,
  ) {}

  @Post()
  @Roles('integrator')
  @ApiOperation({ summary: 'Create an integration', description: 'It receives from this answer on.' })
  @Takes(NewIntegration)
  @Answers(CreatedIntegration, 201)
  async create(@CurrentCaller() caller: Caller, @Body() sent: object): Promise<CreatedIntegration> {
    const body = checkBody(NewIntegration, sent, {
      prefix: 'integration',
      check: (given, problems) => {
        const name = problems.part(given, 'provider');
        // Named by itself where nothing else is wrong.
        if (name === undefined || (problems.found.length > 0 && !this.plugins.providers.has(name))) return;
        const provider = this.presetOf(given, this.provider(name), problems);
        // Settings that are required are missing too where there is no config at all.
        if (provider) checkSettings({ config: {}, ...given }, provider, problems, undefined, this.urlRefusal);
      },
    });
    const provider = this.plugins.providerFor(body.provider, body.preset)!;
    const { changes } = settingsChange(body, provider, {});
    refuseDedupeKeyOfAskable(body, provider, { config: {}, ...changes });
    const { integration: prefix } = PREFIXES;
    const { secrets, store } = this;
    const integrationId = await newAddressId(caller, { prefix, stream: streams.integration, secrets, store });
    this.refuseTakenPath(body.customPath, integrationId);
    const { orgId } = caller;
    const reference = `${integrationId}/secret/1`;
    const secret = body.secret === undefined ? undefined : await this.secrets.put(orgId, reference, body.secret);
    const place = { orgId, integrationId, name: '1' };
    const config = await withStoredSecrets(changes.config ?? {}, provider, this.secrets, place);
    const settings = { ...changes, name: body.name, config };
    const committed = await this.run(
      new CreateIntegration(
        integrationId,
        caller,
        provider.name,
        newSlug(),
        settings,
        secret === undefined ? undefined : reference,
        body.preset,
      ),
    );
    return { ...(await this.saved(committed)), ...(secret === undefined ? {} : { secret }) };
  }

  @Get()
  @ApiOperation({ summary: 'List integrations', description: 'Oldest first.' })
  @AnswersPage(IntegrationAnswer)
  async list(
    @CurrentCaller() { orgId }: Caller,
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<Page<IntegrationAnswer>> {
    const query = this.database.getRepository(IntegrationView).createQueryBuilder('integration');
    query.where('integration.orgId = :orgId', { orgId });
    const { rows, nextCursor } = await readPage(query, { limit, cursor }, { createdAt: 'time', id: 'text' });
    const activity = await this.activityOf(rows.map(({ id }) => id));
    return { data: rows.map((row) => this.shown(row, activity.get(row.id)!)), nextCursor };
  }

  @Get(':id')
  @ApiOperation({ summary: 'One integration', description: 'Counts lag by about a second.' })
  @Answers(IntegrationAnswer)
  view(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<IntegrationAnswer> {
    return this.answer(caller, id);
  }

  @Patch(':id')
  @Roles('integrator')
  @ApiOperation({ summary: 'Change an integration', description: 'Also rotates its secret, disables and enables it.' })
  @Takes(IntegrationChanges)
  @Answers(IntegrationAnswer)
  async change(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() sent: object,
  ): Promise<IntegrationAnswer> {
    const current = (await this.found(caller, id)).state;
    const provider = this.provider(current.provider, current.preset);
    const [secret] = (await this.table.receiver(caller.orgId, id))?.secrets ?? [];
    const before = { config: current.settings.config, hasSecret: current.secret !== undefined, secret };
    const body = checkBody(IntegrationChanges, sent, {
      prefix: 'integration',
      check: (given, problems) => {
        checkSettings(given, provider, problems, before, this.urlRefusal);
        if (given.graceSeconds !== undefined && given.secret === undefined)
          problems.add(
            '/graceSeconds',
            'Must be sent together with secret: it sets how long earlier secrets stay valid.',
          );
      },
    });
    const { changes, removed } = settingsChange(body, provider, current.settings.config);
    refuseDedupeKeyOfAskable(body, provider, {
      ...current.settings,
      ...changes,
      ...(removed.includes('dedupeKey') && { dedupeKey: undefined }),
    });
    this.refuseTakenPath(body.customPath, id);
    const { orgId } = caller;
    let committed: Committed<Integration> | undefined;
    if (Object.keys(changes).length > 0 || removed.length > 0) {
      const place = { orgId, integrationId: id, name: freshName() };
      const config = changes.config && (await withStoredSecrets(changes.config, provider, this.secrets, place));
      committed = await this.run(new UpdateIntegration(id, caller, { ...changes, ...(config && { config }) }, removed));
    }
    if (body.secret !== undefined) {
      const reference = body.secret === null ? undefined : `${id}/secret/${freshName()}`;
      if (reference !== undefined) await this.secrets.put(orgId, reference, body.secret!);
      committed = await this.run(new RotateSecret(id, caller, reference, body.graceSeconds ?? DEFAULT_GRACE_SECONDS));
    }
    if (body.enabled !== undefined)
      committed = await this.run(body.enabled ? new EnableIntegration(id, caller) : new DisableIntegration(id, caller));
    return committed ? this.saved(committed) : this.answer(caller, id);
  }

  @Delete(':id')
  @Roles('integrator')
  @HttpCode(204)
  @ApiOperation({ summary: 'Delete an integration', description: 'Its events stay.' })
  @ApiResponse({ status: 204 })
  async remove(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<void> {
    await this.run(new DeleteIntegration(id, caller));
  }

  private readonly urlRefusal = (url: string): string | undefined => this.egress.refusal(url);

  /** Both the list and the table that receives have seen it when this resolves. */
  private run(command: ThingCommand<Integration>): Promise<Committed<Integration>> {
    return carryOut(this, command, followers.integrations, followers.integrationViews);
  }

  private async saved({ id, state, createdAt, updatedAt }: Committed<Integration>): Promise<IntegrationAnswer> {
    if (state.kind !== 'active' && state.kind !== 'disabled') throw integrationNotFound(id);
    const activity = await this.activityOf([id]);
    return this.shown({ id, orgId: state.orgId, state, createdAt, updatedAt }, activity.get(id)!);
  }

  private async answer(caller: Caller, id: string): Promise<IntegrationAnswer> {
    const row = await this.found(caller, id);
    const activity = await this.activityOf([id]);
    return this.shown(row, activity.get(id)!);
  }

  private async found({ orgId }: Caller, id: string): Promise<IntegrationView> {
    const row = await this.database.getRepository(IntegrationView).findOneBy({ id, orgId });
    if (!row) throw integrationNotFound(id);
    return row;
  }

  private async activityOf(ids: readonly string[]): Promise<ReadonlyMap<string, Activity>> {
    if (ids.length === 0) return new Map();
    const [counters, silent, reconciled] = await Promise.all([
      this.database.getRepository(IntegrationCounterView).findBy({ integrationId: In([...ids]) }),
      this.database.query<{ id: string; at: Date }[]>(
        `select integration_id as id, silent_at as at from views.integration_watch
          where integration_id = any($1) and silent_at is not null`,
        [ids],
      ),
      this.database.query<{ id: string; last: DataOf<'integration.reconciled'> }[]>(
        `select integration_id as id, last from views.integration_reconciliations where integration_id = any($1)`,
        [ids],
      ),
    ]);
    const silentAt = new Map(silent.map(({ id, at }) => [id, at]));
    const last = new Map(reconciled.map((row) => [row.id, row.last]));
    return new Map(
      ids.map((id) => [
        id,
        {
          counters: counters.filter(({ integrationId }) => integrationId === id),
          silentAt: silentAt.get(id),
          reconciled: last.get(id),
        },
      ]),
    );
  }

  /** What a preset makes of a provider; notes what is wrong with it. */
  private presetOf(given: NewIntegration, provider: Provider, problems: Problems): Provider | undefined {
    const { preset } = given;
    if (preset === undefined || !problems.isFine('/preset')) return provider;
    if (provider.name !== PRESETS_OF)
      problems.add('/preset', `Must be left out: presets are for the provider ${PRESETS_OF}.`);
    else if (!this.plugins.presets.has(preset))
      problems.oneOf(preset, [...this.plugins.presets.keys()].sort(), '/preset');
    else if (given.config && 'verify' in given.config)
      problems.add('/config/verify', 'Must be left out: the preset sets how requests are verified.');
    else return this.plugins.providerFor(provider.name, preset);
    return undefined;
  }

  private provider(name: string, preset?: string): Provider {
    const provider = this.plugins.providerFor(name, preset);
    if (provider) return provider;
    if (preset !== undefined && this.plugins.providers.has(name))
      throw new Rejected(
        'conflict',
        'integration.preset_missing',
        `The plug-in with the preset "${preset}" is not loaded. Add it to MILLRACE_PLUGINS.`,
      );
    const names = [...this.plugins.providers.keys()].sort();
    const [known, meant] = [names.join(', '), suggestion(name, names)];
    const text = `There is no provider "${name}". ${meant}Known: ${known}.`;
    throw new Rejected('invalid', 'integration.unknown_provider', text, {
      problems: [{ pointer: '/provider', detail: `Must be one of ${known}. ${meant}`.trim() }],
    });
  }

  /** Refuses early, before secrets are stored, and finds integrations that are older than reservations of paths. */
  private refuseTakenPath(customPath: string | null | undefined, id: string): void {
    if (typeof customPath !== 'string') return;
    const owner = this.table.ownerOfPath(customPath);
    if (owner !== undefined && owner !== id) throw pathTaken(customPath);
  }

  private shown(row: IntegrationView, activity: Activity): IntegrationAnswer {
    const provider = this.plugins.providerFor(row.state.provider, row.state.preset);
    return integrationAnswer(row, activity, this.settings.publicUrl, this.clock.now(), provider);
  }
}
