import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { payloadBody } from '#libs/deliveries/src/webhook/format.js';
import type { SubscriberContext } from '#libs/event-store/src/subscriber.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { streams } from '#libs/events/src/streams.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { compareNumbers, ExactNumber, parseJson } from '#libs/kernel/src/text/exact-json.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';
import { DecideRules } from '#libs/rules/src/decisions/decide.subscriber.js';
import { checkRule } from '#libs/rules/src/language/definition.js';

import { InboundServer } from '../../../libs/intake/testing/inbound-server.js';
import { openBudget } from '../../../libs/event-index/testing/open-budget.js';
import { noWork } from '../../../libs/persistence/testing/no-work.js';

const noTransaction: SubscriberContext = {
  signal: new AbortController().signal,
  transaction: () => Promise.reject(new Error('nothing here needs the database')),
};

/** What is asked for because of a body that was sent to a generic webhook, by one rule. */
class Flow {
  private constructor(
    readonly server: InboundServer,
    private readonly slug: string,
  ) {}

  static async with(settings: { readonly dedupeKey?: string } = {}): Promise<Flow> {
    const server = new InboundServer([builtInProviders]);
    return new Flow(server, (await server.integration('generic_webhook', settings)).slug);
  }

  async send(body: string) {
    return this.server.pipeline.receive(this.server.table.withSlug(this.slug)!, {
      headers: { 'content-type': 'application/json' },
      rawBody: Buffer.from(body),
      query: {},
      contentType: 'application/json',
      sourceIp: '127.0.0.1',
    });
  }

  async rule(given: string): Promise<void> {
    const { definition, enabled } = checkRule(parseJson(given));
    const ruleId = `rul_${uuid7()}`;
    const event = newEvent(
      { type: 'rule.created', data: { ruleId, version: 1, enabled, definition: definition } },
      { id: uuid7(), orgId: 'org_1', actor: 'test', now: new Date() },
    );
    await this.server.store.append(streams.rule(ruleId), [event], 'no-stream');
  }

  async asked() {
    const { store } = this.server;
    const { events } = await store.readAll({ limit: 10_000 });
    await new DecideRules(store, new FixedClock(), noWork, openBudget(store)).handle(events, noTransaction);
    const after = await store.readAll({ limit: 10_000 });
    return after.events.flatMap((event) => (event.is('webhook.requested', 'issue.requested') ? [event] : []));
  }
}

const digits = (most: number) => fc.stringMatching(new RegExp(`^\\d{0,${most}}$`));
const anyNumber = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.oneof(
      fc.constant('0'),
      fc.tuple(fc.constantFrom('1', '7', '9'), digits(40)).map(([a, b]) => a + b),
    ),
    fc.oneof(
      fc.constant(''),
      fc.tuple(digits(30), fc.constantFrom('0', '5')).map(([a, b]) => `.${a}${b}`),
    ),
    fc.oneof(fc.constant(''), fc.constantFrom('e1', 'E2', 'e+400', 'E-400')),
  )
  .map((parts) => parts.join(''));

describe('a number that somebody sends', () => {
  it('reaches deliveries and issues with the digits that were sent', async () => {
    await fc.assert(
      fc.asyncProperty(anyNumber, async (number) => {
        const flow = await Flow.with();
        const withId =
          '{ "id": "${{ data.payload.id }}", "list": ["${{ data.payload.id }}"], "text": "order ${{ data.payload.id }}" }';
        await flow.rule(`{ "name": "x", "eventType": "webhook.received",
          "conditions": { "all": [{ "field": "data.payload.id", "operator": "equals", "value": ${number} },
            { "field": "data.payload.id", "operator": "in", "value": ["x", ${number}] },
            { "field": "data.payload.id", "operator": "lte", "value": ${number} },
            { "expression": "data.payload.id == \`${number}\`" }] },
          "actions": [{ "type": "send_webhook", "with": { "webhook": "whk_1", "payload": ${withId} } },
            { "type": "create_issue", "with": { "title": "order \${{ data.payload.id }}" } }] }`);
        await flow.send(`{"id": ${number}}`);
        const [webhook, issue] = await flow.asked();
        expect(payloadBody((webhook!.data as { payload?: unknown }).payload).text).toBe(
          `{"id":${number},"list":[${number}],"text":"order ${number}"}`,
        );
        expect(issue!.data).toMatchObject({ title: `order ${number}` });
      }),
      { numRuns: 30 },
    );
  });

  it('is another than the one that a rule names, where one digit differs', async () => {
    const flow = await Flow.with();
    const equal = (value: string, operator = 'equals') =>
      `{ "name": "x", "eventType": "webhook.received",
        "conditions": { "field": "data.payload.id", "operator": "${operator}", "value": ${value} },
        "actions": [{ "type": "create_issue", "with": { "title": "${operator} ${value}" } }] }`;
    await flow.rule(equal('7615917337495251231'));
    await flow.rule(equal('7615917337495251232'));
    await flow.rule(equal('7615917337495251231', 'gt'));
    await flow.rule(
      equal('["7615917337495251232", 7615917337495251232]', 'in').replace(/"title": ".*"/, '"title": "in"'),
    );
    await flow.send('{"id": 7615917337495251232}');
    expect((await flow.asked()).map(({ data }) => (data as { title?: string }).title)).toEqual([
      'equals 7615917337495251232',
      'gt 7615917337495251231',
      'in',
    ]);
  });

  it('is a key of its own, and equal to what is the same number alone', async () => {
    await fc.assert(
      fc.asyncProperty(anyNumber, anyNumber, async (one, other) => {
        const flow = await Flow.with({ dedupeKey: 'id' });
        await flow.send(`{"id": ${one}}`);
        const same = compareNumbers(new ExactNumber(one), new ExactNumber(other)) === 0;
        expect(await flow.send(`{"id": ${other}, "n": 2}`)).toMatchObject({ duplicate: same });
        expect(await flow.send(`{"id": "${one}"}`)).toMatchObject({ duplicate: false });
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    ['7615917337495251231', '7615917337495251232'],
    ['1187436509226700801', '1187436509226700802'],
    ['1e400', '1e401'],
    ['1', '"1"'],
    ['true', '"true"'],
    ['{"a":1}', '"{\\"a\\":1}"'],
  ])('names a delivery: %s is another than %s', async (one, other) => {
    const flow = await Flow.with({ dedupeKey: 'id' });
    expect(await flow.send(`{"id": ${one}}`)).toMatchObject({ duplicate: false });
    expect(await flow.send(`{"id": ${other}}`)).toMatchObject({ duplicate: false });
    expect(await flow.send(`{"id": ${one}}`)).toMatchObject({ duplicate: true });
  });
});
