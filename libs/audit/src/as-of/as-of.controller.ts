import { Controller, Get, Inject, Param, Query } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiQuery, ApiTags } from '@nestjs/swagger';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers, Paged } from '#libs/access/src/shapes.controller.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { type PastKind, PastKinds, type PastThing } from '#libs/event-store/src/past-kind.js';
import { DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { Difference, PastAnswer, PastPage } from '#libs/events/src/shapes/audit/as-of-shape.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { differenceBetween } from './difference.js';
import { Past } from './past.js';
import { positionOf } from './point.js';

const POINT = 'A position of the log, or a time (RFC 3339): everything that was recorded up to then.';
const KIND =
  'rules, workflows, outbound-webhooks, integrations, agents, secrets, tokens, organisations, event-types or issues.';

/** Things as they were. */
@ApiTags('as of')
@Roles('auditor')
@Controller('api/v1/as-of')
export class AsOfController {
  constructor(
    @Inject(Past) private readonly past: Past,
    @Inject(PastKinds) private readonly kinds: PastKinds,
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(EventReader) private readonly events: EventReader,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  @Get('diff')
  @ApiOperation({
    summary: 'What changed between two points of the log',
    description: 'By thing and field, with the events that changed it and the name of who did it, as it was then.',
  })
  @ApiQuery({ name: 'from', description: POINT })
  @ApiQuery({ name: 'to', description: `${POINT} Default: now.`, required: false })
  @ApiQuery({ name: 'kinds', description: 'Names of lists, with commas; default: all but issues.', required: false })
  @Answers(Difference)
  async difference(
    @CurrentCaller() caller: Caller,
    @Query('from') from = '',
    @Query('to') to = '',
    @Query('kinds') kinds = '',
  ): Promise<Difference> {
    const first = await this.position(from, '/from');
    const last = to === '' ? await this.store.head() : await this.position(to, '/to');
    if (last < first) {
      const detail = `Must not be before from, which is position ${first}.`;
      throw new Rejected('invalid', 'as_of.bad_point', `The range is invalid: /to: ${detail}`, {
        problems: [{ pointer: '/to', detail }],
      });
    }
    const actors = this.kinds.all.filter(({ name }) => name !== 'issues');
    const data = await differenceBetween(this.past, {
      kinds: kinds === '' ? actors : kinds.split(',').map((name) => this.kind(name.trim())),
      actors,
      from: first,
      to: last,
      isSeen: (kind, thing) => mayBeSeen(caller, kind, thing),
    });
    return { from: String(first), to: String(last), data: [...data] };
  }

  @Get(':positionOrTime/:kind')
  @ApiOperation({
    summary: 'List things as they were',
    description: 'Without those that were archived then, unless `status=archived`.',
  })
  @ApiParam({ name: 'positionOrTime', description: POINT, example: '2026-11-20T09:00:00Z' })
  @ApiParam({ name: 'kind', description: KIND, example: 'rules' })
  @ApiQuery({ name: 'status', required: false, description: 'Only things with this status.' })
  @Paged()
  @Answers(PastPage)
  async list(
    @CurrentCaller() caller: Caller,
    @Param('positionOrTime') point: string,
    @Param('kind') name: string,
    @Query('status') status = '',
    @Query('limit') limit?: string,
    @Query('cursor') cursor?: string,
  ): Promise<PastPage> {
    const kind = this.kind(name);
    const position = await this.position(point, '/positionOrTime');
    const size = Math.min(Math.max(Number(limit ?? 50) || 50, 1), 200);
    const after = cursor === undefined ? '' : Buffer.from(cursor, 'base64url').toString('utf8');
    const rest: { readonly key: string; readonly shown: PastAnswer }[] = [];
    for (const thing of (await this.past.things(kind, position)).values()) {
      if (!mayBeSeen(caller, kind, thing)) continue;
      const shown = kind.show(thing) as PastAnswer | undefined;
      const key = String(shown?.[kind.key]);
      if (!shown || key <= after) continue;
      if (status === '' ? shown['status'] === 'archived' : shown['status'] !== status) continue;
      rest.push({ key, shown: withoutDetails(kind, shown) });
    }
    rest.sort((one, other) => (one.key < other.key ? -1 : 1));
    const page = rest.slice(0, size);
    const last = page.at(-1)?.key;
    return {
      data: page.map(({ shown }) => shown),
      nextCursor: last !== undefined && rest.length > size ? Buffer.from(last).toString('base64url') : null,
      position: String(position),
    };
  }

  @Get(':positionOrTime/:kind/:id')
  @ApiOperation({ summary: 'One thing as it was' })
  @ApiParam({ name: 'positionOrTime', description: POINT, example: '2026-11-20T09:00:00Z' })
  @ApiParam({ name: 'kind', description: KIND, example: 'rules' })
  @ApiParam({ name: 'id', description: 'Its id; the name of a workflow or secret, the type of an event type.' })
  @Answers(PastAnswer)
  async view(
    @CurrentCaller() caller: Caller,
    @Param('positionOrTime') point: string,
    @Param('kind') name: string,
    @Param('id') id: string,
  ): Promise<PastAnswer> {
    const kind = this.kind(name);
    const position = await this.position(point, '/positionOrTime');
    const thing = await this.past.thing(kind, kind.streamOf(caller.orgId, id), position);
    const shown = thing && mayBeSeen(caller, kind, thing) ? kind.show(thing) : undefined;
    if (shown) return shown as PastAnswer;
    throw new Rejected(
      'not_found',
      'as_of.not_found',
      `There was no ${kind.thing} ${id} at position ${position}. GET /api/v1/as-of/${position}/${name} lists what was there.`,
    );
  }

  private kind(name: string): PastKind {
    const kind = this.kinds.all.find((one) => one.name === name);
    if (kind) return kind;
    const names = this.kinds.all.map((one) => one.name).join(', ');
    throw new Rejected('not_found', 'as_of.unknown_kind', `"${name}" is none of ${names}.`);
  }

  private position(text: string, pointer: string): Promise<bigint> {
    return positionOf(
      { head: () => this.store.head(), positionAt: (time) => this.events.positionAt(time) },
      text,
      pointer,
      this.clock.now(),
    );
  }
}

const mayBeSeen = ({ orgId, roles }: Caller, { everywhere }: PastKind, thing: PastThing): boolean =>
  thing.orgId === orgId || (everywhere && orgId === DEFAULT_ORG && roles.includes('admin'));

const withoutDetails = ({ details }: PastKind, shown: PastAnswer): PastAnswer =>
  details.length === 0
    ? shown
    : (Object.fromEntries(Object.entries(shown).filter(([key]) => !details.includes(key))) as unknown as PastAnswer);
