import { streams } from '#libs/events/src/streams.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { type AppendOutcome, DoubleLog, type Expectation, type ProposedEvent } from './double-log.js';

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const NOTHING = Buffer.alloc(0);

const platformMetadata = json({
  ...{ source: 'other', subject: 'thing/1', orgId: 'org_other', timestamp: '2026-11-20T13:14:15.123Z' },
  ...{ $correlationId: '01932f1d-6a3c-7c1e-8f00-2b1d9a7c5e01', hop: 0, actor: 'millrace', schemaVersion: 1 },
});

type Foreign = readonly [stream: string, event: Omit<ProposedEvent, 'id'>];
const foreign = (stream: string, type: string, data: Buffer, more: Partial<ProposedEvent> = {}): Foreign => [
  stream,
  { type, data, json: true, metadata: NOTHING, ...more },
];

/** What other applications, other installations and the server itself write beside us. */
export const FOREIGN_TRAFFIC: readonly Foreign[] = [
  foreign('order-4711', 'OrderPlaced', json({ total: 12.5 })),
  foreign('order-4711', 'OrderPacked', Buffer.from([0x00, 0xff, 0xfe, 0x80]), { json: false }),
  foreign('order-4712', 'OrderPlaced', NOTHING),
  foreign('order-4712', 'OrderPlaced', json('a text'), { metadata: json([1, 2]) }),
  foreign('order-4713', 'OrderPlaced', Buffer.from('{"cut off'), { metadata: Buffer.from('{') }),
  // Types as ours.
  foreign('shop', 'webhook.received', json({ not: 'ours' })),
  foreign('shop', 'rule.created', Buffer.from([0xc3, 0x28]), { json: false }),
  foreign('shop', 'subscriber.parked', json(null)),
  foreign('shop', 'thing.happened', json({ n: 1 }), { metadata: platformMetadata }),
  // Streams as ours, but for the prefix.
  foreign(streams.execution('1'), 'ExecutionStarted', json({})),
  foreign(streams.rule('rul_1'), 'rule.created', json({ name: 'theirs' }), { metadata: platformMetadata }),
  foreign('millrace', 'webhook.received', json({})),
  foreign(`millrace2.${streams.rule('rul_1')}`, 'rule.created', json({}), { metadata: platformMetadata }),
  foreign(`other.${streams.rule('rul_1')}`, 'rule.created', json({}), { metadata: platformMetadata }),
  // An installation whose prefix begins as ours.
  foreign(`millrace.blue.${streams.rule('rul_1')}`, 'rule.created', json({ ruleId: 'rul_1' }), {
    metadata: platformMetadata,
  }),
  // Projections link to our streams too.
  foreign('$ce-millrace.rule', '$>', Buffer.from('0@millrace.rule-rul_1'), { json: false }),
  foreign('$et-webhook.received', '$>', Buffer.from('3@millrace.inbound-1'), { json: false }),
  foreign('$stats-127.0.0.1:2113', '$statsCollected', json({ proc: {} })),
  foreign('$$order-4711', '$metadata', json({ $tb: 1 })),
  foreign('linked', '$>', Buffer.from('0@millrace.run-1'), { json: false }),
];

/** The log of a server that others use too: after each append of ours comes one of theirs. */
export class SharedLog extends DoubleLog {
  private next = 0;

  constructor() {
    super();
    for (const _ of FOREIGN_TRAFFIC) this.othersWrite();
  }

  override append(stream: string, events: readonly ProposedEvent[], expected: Expectation): AppendOutcome {
    const outcome = super.append(stream, events, expected);
    if (outcome.kind === 'stored' && this.next > 0) this.othersWrite();
    return outcome;
  }

  /** The next of {@link FOREIGN_TRAFFIC}, round and round. */
  othersWrite(): void {
    const [stream, event] = FOREIGN_TRAFFIC[this.next++ % FOREIGN_TRAFFIC.length]!;
    super.append(stream, [{ ...event, id: uuid7() }], 'any');
  }
}
