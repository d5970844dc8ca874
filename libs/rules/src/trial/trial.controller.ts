import { Body, Controller, HttpCode, Inject, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { Type } from '@sinclair/typebox';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers, Takes } from '#libs/access/src/shapes.controller.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { platformEvent } from '#libs/event-store/src/event-store.js';
import { ENGINE, type PlatformEvent } from '#libs/events/src/envelope.js';
import { Assuming } from '#libs/events/src/shapes/event-types/assuming-shape.js';
import { RuleTrial } from '#libs/events/src/shapes/rule-trial-shape.js';
import { shapeProblems } from '#libs/events/src/shapes/shape-check.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { isObject } from '#libs/kernel/src/json.js';
import { Problems } from '#libs/kernel/src/problems.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { assuming } from '#libs/vocabulary/src/vocabulary.js';
import { VocabularyTable } from '#libs/vocabulary/src/vocabulary.table.js';

import { checkedAt } from '../language/definition.js';
import { RuleBody } from '../language/rule-schema.js';
import { tryOut } from './trial.js';

const TrialBody = Type.Object(
  {
    rule: RuleBody,
    event: Type.Optional(Type.Object({}, { description: 'An event; keys that are left out are empty.' })),
    eventId: Type.Optional(Type.String({ description: 'Instead of `event`: the id of a recorded event.' })),
    assuming: Type.Optional(Assuming),
  },
  { $id: 'TrialBody' },
);

/** Trying a rule before it counts. */
@ApiTags('rules')
@Controller('api/v1/rules')
export class TrialController {
  constructor(
    @Inject(EventReader) private readonly events: EventReader,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(Plugins) private readonly plugins: Plugins,
    @Inject(VocabularyTable) private readonly vocabulary: VocabularyTable,
  ) {}

  @Post('test')
  @HttpCode(200)
  @Roles('designer', 'integrator', 'auditor')
  @ApiOperation({
    summary: 'Test a rule with an event',
    description: 'Shows what every condition saw, and the actions as they would be requested. Has no effects.',
  })
  @Takes(TrialBody)
  @Answers(RuleTrial)
  async test(@CurrentCaller() caller: Caller, @Body() body: unknown): Promise<RuleTrial> {
    const problems = new Problems('rule');
    if (!isObject(body))
      throw new Rejected(
        'invalid',
        'rule.invalid_test',
        'The body must be an object: { rule, event } or { rule, eventId }.',
      );
    problems.unknownKeys(body, ['rule', 'event', 'eventId', 'assuming'], '');
    if (body['assuming'] !== undefined)
      problems.addAll(shapeProblems(Assuming, body['assuming'], { prefix: 'rule', pointer: '/assuming' }));
    if ((body['event'] === undefined) === (body['eventId'] === undefined))
      problems.add('', 'Must have either "event" or "eventId".');
    if (body['event'] !== undefined && !isObject(body['event'])) problems.add('/event', 'Must be an event: an object.');
    const { eventId = '' } = body;
    if (typeof eventId !== 'string') problems.add('/eventId', 'Must be an event id, such as evt_….');
    problems.throwIfAny('rule.invalid_test', 'The test is invalid');
    const checked = checkedAt('/rule', body['rule'], this.plugins.actions);
    const event = isObject(body['event'])
      ? eventOf(body['event'], caller.orgId, this.clock.now())
      : platformEvent(await this.events.get(caller.orgId, eventId as string));
    return tryOut(checked, event, assuming(this.vocabulary.of(caller.orgId), body['assuming'] ?? {}));
  }
}

function eventOf(given: Record<string, unknown>, orgId: string, now: Date): PlatformEvent<unknown> {
  const text = (key: string, otherwise: string) => (typeof given[key] === 'string' ? given[key] : otherwise);
  return {
    id: text('id', 'evt_00000000000000000000000000'),
    type: text('type', ''),
    source: text('source', ENGINE),
    subject: text('subject', ''),
    orgId,
    timestamp: text('timestamp', now.toISOString()),
    data: given['data'] ?? {},
  };
}
