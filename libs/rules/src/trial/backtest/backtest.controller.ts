import { Readable } from 'node:stream';

import { Body, Controller, Headers, HttpCode, Inject, Logger, Post, Res } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiProperty, ApiPropertyOptional, ApiResponse, ApiTags } from '@nestjs/swagger';
import { Type } from '@sinclair/typebox';
import { DataSource } from 'typeorm';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Takes } from '#libs/access/src/shapes.controller.js';
import { TIMES } from '#libs/event-index/src/event-query.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { rangeOf } from '#libs/event-index/src/scan/log-range.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Quarantine } from '#libs/event-store/src/runner/quarantine.table.js';
import type { RuleWarning } from '#libs/events/src/shapes/rule-shape.js';
import { Rejected, Transient } from '#libs/kernel/src/errors.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { VocabularyTable } from '#libs/vocabulary/src/vocabulary.table.js';

import { type CompiledDefinition, compileDefinition } from '../../language/definition.js';
import { RuleBody } from '../../language/rule-schema.js';
import { warningsOf } from '../../language/warnings.js';
import { notFound } from '../../rule/rule.js';
import { RuleVersionView, RuleView } from '../../rule/rule.view.js';
import { parseBacktest, type RuleReference } from './backtest-request.js';
import { type BacktestProgress, BacktestSlots, runBacktest } from './backtest-run.js';
import type { BacktestReport } from './backtest.js';

/** As much of a Fastify reply as is used here. */
interface Reply {
  type(contentType: string): Reply;
  send(body: object): unknown;
  readonly raw: { once(event: 'close', listener: () => void): unknown; readonly writableFinished: boolean };
}

const BacktestBody = Type.Object(
  {
    rule: RuleBody,
    from: Type.Optional(Type.String({ description: 'A time or a position; inclusive.', examples: ['2026-11-13'] })),
    to: Type.Optional(Type.String({ description: 'A time, exclusive, or a position, inclusive. Default: now.' })),
    by: Type.Optional(
      Type.Union(
        TIMES.map((time) => Type.Literal(time)),
        {
          description:
            'What the times are compared with: when the server received the event (default), or the `timestamp` that its source gives.',
        },
      ),
    ),
    compareTo: Type.Optional(
      Type.Union(
        [Type.String(), Type.Object({ ruleId: Type.String(), version: Type.Optional(Type.Integer({ minimum: 1 })) })],
        {
          description: 'A saved rule to compare with: its id, or `{ ruleId, version }`.',
          examples: [{ ruleId: 'rul_01jq5x1d0wkz4s3v2n8m7b6c5a', version: 3 }],
        },
      ),
    ),
  },
  { $id: 'BacktestBody' },
);

export class BacktestAnswer {
  @ApiProperty({ description: 'Events of the organisation that were evaluated.' }) scanned!: number;
  @ApiProperty() matched!: number;
  @ApiProperty() notMatched!: number;
  @ApiProperty({ description: 'Matches that the throttle would have held back.' }) throttled!: number;
  @ApiProperty() errored!: number;
  @ApiProperty({ description: 'Events whose source or type the rule does not name.' }) notNamed!: number;
  @ApiProperty({ type: [Object], description: 'The newest events of each outcome.' }) samples!: readonly object[];
  @ApiProperty({ type: [Object], description: 'How often each condition failed.' })
  reasons!: readonly object[];
  @ApiPropertyOptional({
    type: Object,
    description: '`{ ruleId, version, both, onlyDraft: { count, samples }, onlyOther: { count, samples }, other }`',
  })
  difference?: object;
  @ApiProperty({ description: 'False if there were more throttle keys than are tracked.' }) throttleExact!: boolean;
  @ApiProperty({ type: [Object] }) warnings!: readonly RuleWarning[];
  @ApiProperty() elapsedMs!: number;
}

interface Other {
  readonly ruleId: string;
  readonly version: number;
  readonly compiled: CompiledDefinition;
}

const NDJSON = 'application/x-ndjson';
/** Progress that a slow reader has not taken yet; more is left out. */
const MAX_UNREAD = 16 * 1024;

/** Trying a rule on history before it counts. */
@ApiTags('rules')
@Controller('api/v1/rules')
export class BacktestController {
  private readonly slots = new BacktestSlots();
  private readonly log = new Logger(BacktestController.name);

  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(EventReader) private readonly events: EventReader,
    @Inject(Plugins) private readonly plugins: Plugins,
    @Inject(Quarantine) private readonly quarantine: Quarantine,
    @Inject(VocabularyTable) private readonly vocabulary: VocabularyTable,
  ) {}

  @Post('backtest')
  @HttpCode(200)
  @Roles('designer', 'integrator', 'auditor')
  @ApiOperation({
    summary: 'Evaluate a rule for past events',
    description:
      'Has no effects. With `Accept: application/x-ndjson` the answer is a stream of lines: `{"progress":{"scanned","total","percent","rate"}}`, finally `{"result":{…}}` or `{"error":{"code","detail"}}`. Closing the connection ends the backtest.',
  })
  @Takes(BacktestBody)
  @ApiProduces('application/json', NDJSON)
  @ApiResponse({ status: 200, type: BacktestAnswer })
  async backtest(
    @CurrentCaller() caller: Caller,
    @Body() body: unknown,
    @Headers('accept') accept: string | undefined,
    @Res() reply: Reply,
  ): Promise<void> {
    const request = parseBacktest(body, this.plugins.actions);
    const aborter = new AbortController();
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) aborter.abort();
    });
    const giveBack = this.slots.take(caller.orgId);
    try {
      const other = request.compareTo && (await this.saved(caller, request.compareTo));
      const draft = request.rule.compiled;
      const { store, events } = this;
      const rules = other ? [draft, other.compiled] : [draft];
      const { by, from, to } = request;
      const matchesType = (type: string): boolean => rules.some((rule) => rule.matchesType(type));
      const asked = { orgId: caller.orgId, by, from, to, matchesType };
      const { total, ...range } = await rangeOf(events, asked, await store.head());
      const order = { range, total, draft, other: other?.compiled };
      const warnings = warningsOf(request.rule.definition, draft, this.vocabulary.of(caller.orgId));
      const run = (tell: (progress: BacktestProgress) => void) =>
        runBacktest(store, order, tell, aborter.signal, ({ id }) => this.quarantine.has(id)).then((report) => ({
          ...answerOf(report, other),
          warnings,
        }));
      if (accept?.includes(NDJSON) === true) await this.stream(run, reply, aborter.signal);
      else reply.type('application/json; charset=utf-8').send(await run(() => undefined));
    } catch (error) {
      // Nobody is there any more to be answered.
      if (!aborter.signal.aborted) throw error;
    } finally {
      giveBack();
    }
  }

  /** Lines as it goes on; what goes wrong from here on is a line as well, since the answer has begun. */
  private async stream(
    run: (tell: (progress: BacktestProgress) => void) => Promise<object>,
    reply: Reply,
    signal: AbortSignal,
  ): Promise<void> {
    const lines = new Readable({ read: () => undefined });
    const line = (value: object): boolean => !lines.destroyed && lines.push(`${stringifyJson(value)}\n`);
    reply.type(NDJSON).send(lines);
    try {
      const result = await run((progress) => lines.readableLength < MAX_UNREAD && line({ progress }));
      line({ result });
    } catch (error) {
      if (!signal.aborted) line({ error: this.told(error) });
    }
    if (!lines.destroyed) lines.push(null);
  }

  private told(error: unknown): { readonly code: string; readonly detail: string } {
    if (error instanceof Rejected) return { code: error.code, detail: error.message };
    if (error instanceof Transient)
      return { code: error.code, detail: 'The server cannot read the log at the moment. Try again shortly.' };
    this.log.error(error);
    return { code: 'server.internal', detail: "An internal error occurred. It is in the server's log." };
  }

  private async saved({ orgId }: Caller, { ruleId, version }: RuleReference): Promise<Other> {
    const row =
      version === undefined
        ? await this.database.getRepository(RuleView).findOneBy({ id: ruleId, orgId })
        : await this.database.getRepository(RuleVersionView).findOneBy({ ruleId, version, orgId });
    if (row) return { ruleId, version: row.version, compiled: compileDefinition(row.definition) };
    if (version === undefined || !(await this.database.getRepository(RuleView).existsBy({ id: ruleId, orgId })))
      throw notFound(ruleId);
    throw new Rejected(
      'not_found',
      'rule.version_not_found',
      `Rule ${ruleId} has no version ${version}. GET /api/v1/rules/${ruleId}/versions lists the existing ones.`,
    );
  }
}

const answerOf = ({ difference, ...report }: BacktestReport & { readonly elapsedMs: number }, other?: Other) => ({
  ...report,
  ...(difference && other && { difference: { ruleId: other.ruleId, version: other.version, ...difference } }),
});
