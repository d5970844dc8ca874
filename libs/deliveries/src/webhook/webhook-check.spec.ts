import { describe, expect, it } from '@jest/globals';

import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { NewWebhook } from '#libs/events/src/shapes/webhook-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { warningsOf, webhookCheck } from './webhook-check.js';

const good = { url: 'https://example.com/', events: ['issue.created', 'pr.*', '*', 'custom.type_2'] };
const pointersOf = (given: object, refusal?: string, code = 'webhook.invalid'): string[] => {
  try {
    checkBody(NewWebhook, { ...good, ...given }, { prefix: 'webhook', check: webhookCheck(() => refusal) });
    return [];
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    expect(error.code).toBe(code);
    return error.problems.map(({ pointer }) => pointer);
  }
};

describe('a webhook that is saved', () => {
  it('passes with everything that is allowed', () => {
    const full = {
      secret: 'long enough',
      filter: "data.branch == 'main'",
      headers: { Authorization: 'Bearer x', 'X-Team': 'ops' },
      signatureHeader: 'X-ProxifAI-Signature',
    };
    expect(pointersOf(full)).toEqual([]);
  });

  it.each<[string, object, string]>([
    ['a pattern in capitals', { events: ['Issue.Created'] }, '/events/0'],
    ['an empty pattern', { events: ['git.push', ''] }, '/events/1'],
    ['a pattern with a space', { events: ['git push'] }, '/events/0'],
    ['a short secret', { secret: 'short' }, '/secret'],
    ['a secret that is not base64', { secret: 'whsec_%%%%%%' }, '/secret'],
    ['a filter with an open quote', { filter: "data == 'x" }, '/filter'],
    ['a header with a line break', { headers: { 'X-A': 'a\r\nb' } }, '/headers/X-A'],
    ['a header that is no text', { headers: { 'X-A': 1 } }, '/headers/X-A'],
    ['a header that steers the connection', { headers: { Host: 'x' } }, '/headers/Host'],
    ['a header of ours', { headers: { 'Webhook-Id': 'x' } }, '/headers/Webhook-Id'],
    ['the signature header as its own', { headers: { 'x-sig': 'x' }, signatureHeader: 'X-Sig' }, '/headers/x-sig'],
    ['a header twice', { headers: { 'X-A': '1', 'x-a': '2' } }, '/headers/x-a'],
    ['a header name with a slash', { headers: { 'a/b': '1' } }, '/headers/a~1b'],
    ['too many headers', { headers: Object.fromEntries([...Array(21).keys()].map((n) => [`x-${n}`, ''])) }, '/headers'],
    ['a reserved signature header', { signatureHeader: 'webhook-signature' }, '/signatureHeader'],
    ['a signature header that is none', { signatureHeader: 'X Sig' }, '/signatureHeader'],
    ['a rate of no second', { rateLimit: { limit: 1, per: '10ms' } }, '/rateLimit/per'],
  ])('is refused with %s, and says where', (_, given, pointer) => expect(pointersOf(given)).toEqual([pointer]));

  it('is refused with a URL that may not be called', () => expect(pointersOf({}, 'private')).toEqual(['/url']));

  it('names everything that is wrong at once', () =>
    expect(pointersOf({ events: ['A'], secret: 'x', filter: '[' })).toEqual(['/events/0', '/secret', '/filter']));

  it.each<[string, object, string]>([
    ['no URL', { url: undefined }, '/url'],
    ['no event type', { events: [] }, '/events'],
    ['an event type twice', { events: ['git.push', 'git.push'] }, '/events'],
    ['a format that there is not', { format: 'xml' }, '/format'],
    ['a timeout that is too long', { timeoutMs: 120_001 }, '/timeoutMs'],
    ['a key that nobody reads', { fromat: 'compact' }, '/fromat'],
    ['a part that is not to be absent', { format: null }, '/format'],
  ])('has not the shape of a webhook with %s', (_, given, pointer) =>
    expect(pointersOf(given, undefined, 'request.invalid')).toEqual([pointer]),
  );

  it('names what is wrong beyond its shape, too, where its shape is wrong', () =>
    expect(pointersOf({ timeoutMs: 0, filter: '[', events: 'x' }, undefined, 'request.invalid')).toEqual([
      '/events',
      '/timeoutMs',
      '/filter',
    ]));

  it('may take optional parts away', () =>
    expect(pointersOf({ filter: null, headers: null, signatureHeader: null, rateLimit: null })).toEqual([]));

  it('is warned of a type that does not exist', () => {
    expect(warningsOf({ events: ['issue.creatd', 'git.*', '*', 'webhook.disabled', '*.enabled'] })).toEqual([
      { pointer: '/events/0', detail: expect.stringContaining('issue.created') },
      // A wide glob leaves out the only types that it would fit.
      { pointer: '/events/4', detail: expect.stringContaining('*.enabled') },
    ]);
  });

  it('is warned of events that its own deliveries lead to, unless it allows recursion', () => {
    const events = ['*.*', 'webhook.*', 'webhook.failed', 'delivery.*', 'issue.created'];
    expect(warningsOf({ events }).map(({ pointer }) => pointer)).toEqual(['/events/1', '/events/2']);
    expect(warningsOf({ events })[1]!.detail).toContain('allowRecursion');
    expect(warningsOf({ events, allowRecursion: true })).toEqual([]);
  });

  it('is warned of fields that none of its types has, own types included', () => {
    const schema = { type: 'object', properties: { login: { type: 'string' } } };
    const own = new Map([['developer.added', { schema, archived: false }]]);
    const found = (events: string[], filter: string) => warningsOf({ events, filter }, undefined, own);
    expect(found(['developer.added'], "data.login == 'ann'")).toEqual([]);
    expect(found(['developer.added'], "data.logn == 'ann'")).toEqual([
      { pointer: '/filter', code: 'expression.unknown_field', detail: expect.stringContaining('"login"'), column: 6 },
    ]);
    expect(found(['git.push'], "data.branc == 'main'")).toMatchObject([{ pointer: '/filter', column: 6 }]);
    expect(found(['developer.addd'], 'data.x')).toMatchObject([
      { pointer: '/events/0', detail: expect.stringContaining('Did you mean "developer.added"?') },
    ]);
  });

  it('is warned of a secret that Standard Webhooks libraries do not accept', () => {
    expect(warningsOf({ events: ['*'] }, 'a plain old secret')).toEqual([
      { pointer: '/secret', detail: expect.stringContaining('whsec_ and base64') },
    ]);
    for (const secret of ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', undefined, null])
      expect(warningsOf({ events: ['*'] }, secret)).toEqual([]);
  });
});
