import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { conditionOf } from '#libs/event-index/src/event-query.js';
import type { TracedEvent } from '#libs/event-index/src/event-reader.adapter.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { newEvent, RawJson } from '#libs/event-store/src/new-event.js';
import { catalogue } from '#libs/events/src/catalogue.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid5, uuid7 } from '#libs/kernel/src/ids.js';

import { eventJson } from './event-json.js';
import { cursorOf, type Parameters, parseQuery } from './event-parameters.js';
import { publishable } from './publishable.js';
import { type TraceNode, traceOf } from './trace.js';

const rejection = (work: () => unknown): Rejected => {
  try {
    work();
  } catch (error) {
    if (error instanceof Rejected) return error;
    throw error;
  }
  throw new Error('nothing was rejected');
};

describe('the query of events', () => {
  const parse = (parameters: Parameters) => parseQuery(parameters, 'org_a', 'page');

  it('is everything of the organisation, newest first, where nothing is said', () => {
    expect(parse({})).toEqual({
      orgId: 'org_a',
      types: [],
      by: 'receivedAt',
      order: 'desc',
      limit: 50,
      includesQuarantined: true,
    });
    expect(conditionOf(parse({}), undefined)).toEqual({ sql: 'org_id = $1', values: ['org_a'] });
  });

  it('has no end of its own, oldest first, where it is answered line by line', () => {
    expect(parseQuery({}, 'org_a', 'lines')).toMatchObject({ order: 'asc', limit: Infinity });
    expect(parseQuery({ limit: '5000' }, 'org_a', 'lines').limit).toBe(5_000);
    expect(rejection(() => parse({ limit: '5000' })).problems).toMatchObject([
      { pointer: '/limit', detail: 'Must be a whole number from 1 to 200.' },
    ]);
  });

  it('takes words, whatever their case', () => {
    expect(parse({ text: ' Payment  TIMEOUT ' }).words).toEqual(['payment', 'timeout']);
    expect(rejection(() => parse({ text: ' ' })).problems).toMatchObject([{ pointer: '/text' }]);
    expect(rejection(() => parse({ text: 'a b c d e f g h i j k' })).problems).toMatchObject([{ pointer: '/text' }]);
  });

  it('takes several types, with commas or one by one', () => {
    expect(parse({ type: 'git.push, pr.*' }).types).toEqual(['git.push', 'pr.*']);
    expect(parse({ type: ['git.push', 'pr.*'] }).types).toEqual(['git.push', 'pr.*']);
  });

  it('asks for globs as LIKE has them, in which everything but the star stands for itself', () => {
    const { sql, values } = conditionOf(parse({ type: 'pr.*', subject: 'a_b%\\*' }), undefined);
    expect(sql).toBe('org_id = $1 and (type like $2) and subject like $3');
    expect(values).toEqual(['org_a', 'pr.%', 'a\\_b\\%\\\\%']);
  });

  it.each(['*', '*.failed'])('leaves system types out of %s, as everywhere', (type) => {
    const { sql, values } = conditionOf(parse({ type }), undefined);
    expect(sql).toContain('type <> all($2::text[])');
    expect(values[1]).toEqual(expect.arrayContaining(['rule.evaluated', 'webhook.failed', 'token.created']));
    expect(values[1]).not.toEqual(expect.arrayContaining(['webhook.received']));
  });

  it('leaves them out of every glob that does not name their family', () => {
    const { sql, values } = conditionOf(parse({ type: '*.failed' }), undefined);
    expect(sql).toContain('type <> all($2::text[]) and type like $3');
    expect(values[2]).toBe('%.failed');
    expect(conditionOf(parse({ type: 'webhook.*' }), undefined).sql).not.toContain('<> all');
  });

  it('goes on after the cursor in its direction', () => {
    const cursor = cursorOf(41n);
    const down = parse({ cursor });
    expect(conditionOf(down, down.after)).toEqual({ sql: 'org_id = $1 and position < $2', values: ['org_a', '41'] });
    const up = parse({ cursor, order: 'asc' });
    expect(conditionOf(up, up.after).sql).toBe('org_id = $1 and position > $2');
  });

  it.each([
    [{}, 'received_at'],
    [{ by: 'receivedAt' }, 'received_at'],
    [{ by: 'timestamp' }, 'timestamp'],
  ])('compares times with when events were received, unless it is told otherwise: %j', (by, column) => {
    const { sql } = conditionOf(parse({ from: '2026-11-20', to: '2026-11-21', ...by }), undefined);
    expect(sql).toBe(`org_id = $1 and ${column} >= $2 and ${column} < $3`);
  });

  it('names every parameter that is wrong, with what is allowed', () => {
    const { code, problems } = rejection(() =>
      parse({
        limit: '0',
        from: 'yesterday',
        by: 'created',
        order: 'up',
        fromPosition: '-1',
        cursor: '???',
        correlation: 'x',
        source: ['a', 'b'],
      }),
    );
    expect(code).toBe('query.invalid');
    expect(problems.map(({ pointer }) => pointer).sort()).toEqual(
      ['/by', '/correlation', '/cursor', '/from', '/fromPosition', '/limit', '/order', '/source'].sort(),
    );
  });

  it('tells where a filter breaks', () => {
    expect(rejection(() => parse({ filter: "data.branch == 'main" })).code).toBe('expression.malformed');
  });

  it('never puts what it is given into the statement', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.constantFrom('source', 'subject', 'type'), (text, name) => {
        const { sql } = conditionOf(parse({ [name]: text }), undefined);
        expect(sql.replace(/(org_id|type|source|subject|like|and|or|all|text|[=<>$():[\] \d])/g, '')).toBe('');
      }),
    );
  });
});

describe('an event as JSON', () => {
  it('has its data byte for byte, numbers beyond 2^53 and duplicate keys too', async () => {
    const store = new MemoryEventStore();
    const id = uuid7();
    const data = '{"payload":{"n":12345678901234567890,"a":1,"a":2, "s": "\\ud83d\\ude00"}}';
    const context = {
      id,
      orgId: 'org_a',
      actor: 'integration/int_1',
      now: new Date('2026-11-20T12:00:00Z'),
      source: 'github',
    };
    await store.append('s', [newEvent({ type: 'webhook.received', data: new RawJson(data) }, context)], 'no-stream');
    const [event] = await store.readStream('s');
    const text = eventJson(event!);
    expect(text).toContain(`"data":${data},`);
    expect(JSON.parse(text)).toMatchObject({
      id: eventIdOf(id),
      type: 'webhook.received',
      source: 'github',
      metadata: {
        stream: 's',
        revision: 0,
        correlationId: eventIdOf(id),
        causationId: null,
        hop: 0,
        actor: 'integration/int_1',
      },
    });
  });
});

describe('a trace', () => {
  const id = (n: number) => uuid5('trace', String(n));
  const event = (n: number, cause?: number): TracedEvent => ({
    id: id(n),
    type: `t.${n}`,
    source: 'millrace',
    subject: '',
    timestamp: '2026-11-20T12:00:00.000Z',
    receivedAt: '2026-11-20T12:00:01.000Z',
    causation: cause === undefined ? undefined : id(cause),
  });
  const shape = ({ type, children }: TraceNode): unknown =>
    children.length === 0 ? type : { [type]: children.map(shape) };
  const count = ({ children }: TraceNode): number => children.reduce((sum, child) => sum + count(child), 1);

  it('is the tree of causes, in the order of the log', () => {
    const story = [event(0), event(1, 0), event(2, 0), event(3, 1), event(4, 3)];
    expect(shape(traceOf(story, id(0)))).toEqual({ 't.0': [{ 't.1': [{ 't.3': ['t.4'] }] }, 't.2'] });
  });

  it('says how long after its cause each event was recorded', () => {
    const later = { ...event(1, 0), receivedAt: '2026-11-20T12:00:03.500Z' };
    const root = traceOf([event(0), later, event(2, 1)], id(0));
    expect([root.gapMs, root.children[0]!.gapMs, root.children[0]!.children[0]!.gapMs]).toEqual([
      undefined,
      2_500,
      -2_500,
    ]);
  });

  it('says which events are in quarantine', () => {
    const root = traceOf([event(0), { ...event(1, 0), quarantined: true }], id(0));
    expect([root.quarantined, root.children[0]!.quarantined]).toEqual([undefined, true]);
  });

  it('hangs what it cannot place at the root, and loses nothing', () => {
    expect(shape(traceOf([event(0), event(1, 77), event(2)], id(0)))).toEqual({ 't.0': ['t.1', 't.2'] });
  });

  it('begins with the first event where the one it is named after is gone', () => {
    expect(shape(traceOf([event(1, 0), event(2, 1)], id(0)))).toEqual({ 't.1': ['t.2'] });
  });

  it('holds every event once, whatever causes they claim', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat({ max: 20 })), { minLength: 1, maxLength: 20 }), (causes) => {
        const story = causes.map((cause, n) => event(n, cause ?? undefined));
        expect(count(traceOf(story, id(0)))).toBe(story.length);
      }),
    );
  });
});

describe('an event that a program publishes', () => {
  it('may be of any type that the world outside can tell of', () => {
    for (const type of ['git.push', 'release.published', 'message.received', 'webhook.received'])
      expect(publishable(type, undefined)).toBe(type);
  });

  it('may not be of a type that the engine takes for its own doing', () => {
    for (const [type, definition] of Object.entries(catalogue as Record<string, { system?: true }>)) {
      const own = definition.system === true || /^(workflow|agent|schedule|webhook)\./.test(type);
      if (own && type !== 'webhook.received')
        expect(rejection(() => publishable(type, undefined))).toMatchObject({
          kind: 'forbidden',
          code: 'event.type_reserved',
        });
    }
  });

  it('may not claim to come from the engine', () => {
    expect(rejection(() => publishable('git.push', 'millrace')).code).toBe('event.source_reserved');
    const isProvider = (name: string) => name === 'github';
    for (const source of ['github', 'GitHub'])
      expect(rejection(() => publishable('git.push', source, isProvider))).toMatchObject({
        kind: 'invalid',
        code: 'event.source_reserved',
      });
    expect(publishable('git.push', 'deploy-bot', isProvider)).toBe('git.push');
  });

  it('must be of a type that exists', () => {
    expect(rejection(() => publishable('git.psuh', undefined))).toMatchObject({
      kind: 'invalid',
      code: 'event.type_unknown',
    });
  });
});
