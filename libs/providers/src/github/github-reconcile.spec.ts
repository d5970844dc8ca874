import { beforeEach, describe, expect, it } from '@jest/globals';

import type { Asked, ReconcileContext } from '#libs/plugin-sdk/src/define-provider.js';
import type { StepHttp, StepHttpOutcome } from '#libs/plugin-sdk/src/define-step.js';

import { githubReconcile } from './github-reconcile.js';

const NOW = new Date('2026-11-20T13:14:15Z');
const HOOK = '/repos/acme/app/hooks/42/deliveries';
/** As its documentation shows them: by the number of the repository, whatever was asked. */
const DOCUMENTED = 'https://api.github.com/repositories/1296269/hooks/42/deliveries';
const PREVIOUS = `<${DOCUMENTED}?per_page=100&cursor=v1_0>; rel="prev"`;
const minutesAgo = (minutes: number): string => new Date(NOW.getTime() - minutes * 60_000).toISOString();

interface Sent {
  readonly id: number;
  readonly guid: string;
  readonly delivered_at: string;
  readonly event?: string;
  readonly redelivery?: boolean;
}

/** GitHub's API as far as it is asked: the deliveries of one hook, a few a page, and redelivery. */
class Github implements StepHttp {
  sent: Sent[] = [];
  perPage = 2;
  readonly asked: string[] = [];
  readonly tokens = new Set<string>();
  /** Instead of the usual answer, by method. */
  broken: Partial<Record<string, Partial<StepHttpOutcome>>> = {};

  request({ method, url, headers }: Parameters<StepHttp['request']>[0]): Promise<StepHttpOutcome> {
    const { pathname, searchParams } = new URL(url);
    this.asked.push(`${method} ${pathname}`);
    this.tokens.add(headers['authorization'] ?? '');
    const answer = (status: number, body: unknown, more: Record<string, string> = {}): StepHttpOutcome => ({
      kind: 'response',
      status,
      headers: more,
      body: Buffer.from(JSON.stringify(body)),
      truncated: false,
      latencyMs: 1,
    });
    const broken = this.broken[method];
    if (broken) return Promise.resolve({ ...answer(200, {}), ...broken } as StepHttpOutcome);
    if (method === 'POST') return Promise.resolve(answer(202, {}));
    const from = Number(searchParams.get('cursor') ?? 0);
    const next =
      from + this.perPage < this.sent.length
        ? { link: `${PREVIOUS}, <${DOCUMENTED}?per_page=100&cursor=${from + this.perPage}>; rel="next"` }
        : {};
    return Promise.resolve(answer(200, this.sent.slice(from, from + this.perPage), next));
  }
}

let github: Github;
let arrived: Set<string>;
let askedBefore: Map<string, Asked>;
beforeEach(() => {
  github = new Github();
  arrived = new Set();
  askedBefore = new Map();
});

const run = (more: Partial<ReconcileContext> = {}) =>
  githubReconcile.run({
    secrets: [],
    config: { token: 'ghp_secret', hookId: 42, repository: 'acme/app' },
    now: NOW,
    http: github,
    since: new Date(NOW.getTime() - 3 * 86_400_000),
    seen: (ids) => Promise.resolve(new Set(ids.filter((id) => arrived.has(id)))),
    asked: () => Promise.resolve(askedBefore),
    signal: new AbortController().signal,
    ...more,
  });
const posts = () => github.asked.filter((line) => line.startsWith('POST'));

describe('reconciling with GitHub', () => {
  it('finds what never arrived, over all pages, and asks for it once more', async () => {
    github.sent = [5, 4, 3, 2, 1].map((n) => ({
      id: n,
      guid: `g${n}`,
      delivered_at: minutesAgo(60 - n),
      event: 'push',
    }));
    arrived = new Set(['g5', 'g3', 'g1']);
    expect(await run()).toEqual({
      checked: 5,
      missing: [
        { deliveryId: 'g2', eventType: 'push', requested: true },
        { deliveryId: 'g4', eventType: 'push', requested: true },
      ],
      openSince: new Date(minutesAgo(58)),
    });
    expect(posts()).toEqual([`POST ${HOOK}/2/attempts`, `POST ${HOOK}/4/attempts`]);
    expect([...github.tokens]).toEqual(['Bearer ghp_secret']);
  });

  it('takes several attempts of a delivery for one, and asks for the newest', async () => {
    github.sent = [
      { id: 9, guid: 'g1', delivered_at: minutesAgo(5) },
      { id: 8, guid: 'g1', delivered_at: minutesAgo(50) },
    ];
    expect(await run()).toMatchObject({ checked: 1, missing: [{ deliveryId: 'g1', requested: true }] });
    expect(posts()).toEqual([`POST ${HOOK}/9/attempts`]);
  });

  it('leaves alone what may still be on its way, and what is older than it was asked for', async () => {
    github.sent = [
      { id: 4, guid: 'now', delivered_at: minutesAgo(0.5) },
      { id: 3, guid: 'old', delivered_at: minutesAgo(61) },
      { id: 2, guid: 'older', delivered_at: minutesAgo(70) },
      { id: 1, guid: 'oldest', delivered_at: minutesAgo(80) },
    ];
    expect(await run({ since: new Date(NOW.getTime() - 60 * 60_000) })).toEqual({
      checked: 1,
      missing: [],
      openSince: new Date(minutesAgo(0.5)),
    });
    // The page that reached back far enough was the last.
    expect(github.asked).toEqual([`GET ${HOOK}`]);
  });

  it.each<[string, Partial<StepHttpOutcome>, object]>([
    ['a wrong token', { status: 401 }, { code: 'unauthorised', detail: expect.stringContaining('token') }],
    ['a token that may not', { status: 403 }, { code: 'unauthorised', detail: expect.anything() }],
    ['an unknown hook', { status: 404 }, { code: 'not_found', detail: expect.stringContaining('hookId') }],
    ['a fault', { status: 502 }, { code: 'http.502', detail: expect.anything() }],
    [
      'a limit with Retry-After',
      { status: 429, headers: { 'retry-after': '30' } },
      { code: 'rate_limited', detail: expect.anything(), retryAfterMs: 30_000 },
    ],
    [
      'a limit with the time at which it ends',
      {
        status: 403,
        headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(NOW.getTime() / 1000 + 90) },
      },
      { code: 'rate_limited', detail: expect.anything(), retryAfterMs: 90_000 },
    ],
    [
      'nobody there',
      { kind: 'failed', failureClass: 'dns', detail: 'no such name' } as never,
      { code: 'unreachable', detail: expect.stringContaining('apiUrl') },
    ],
  ])('says what is wrong: %s', async (_, broken, failure) => {
    github.broken = { GET: broken };
    expect(await run()).toEqual({ checked: 0, missing: [], failure });
  });

  it('stops asking for redelivery at the first refusal, and still says what is missing', async () => {
    github.sent = [2, 1].map((n) => ({ id: n, guid: `g${n}`, delivered_at: minutesAgo(60 - n) }));
    github.broken = { POST: { status: 403 } };
    expect(await run()).toMatchObject({
      missing: [
        { deliveryId: 'g1', requested: false },
        { deliveryId: 'g2', requested: false },
      ],
      failure: { code: 'unauthorised' },
    });
    expect(posts()).toHaveLength(1);
  });

  it('goes on where one delivery cannot be sent again', async () => {
    github.sent = [3, 2, 1].map((n) => ({ id: n, guid: `g${n}`, delivered_at: minutesAgo(60 - n) }));
    const http: StepHttp = {
      request: (request) => {
        github.broken = request.url.endsWith('/1/attempts')
          ? { POST: { status: 404 } }
          : request.url.endsWith('/2/attempts')
            ? { POST: { status: 422 } }
            : {};
        return github.request(request);
      },
    };
    expect(await run({ http })).toEqual({
      checked: 3,
      missing: [
        { deliveryId: 'g1', eventType: 'unknown', requested: false, refused: true },
        { deliveryId: 'g2', eventType: 'unknown', requested: false, refused: true },
        { deliveryId: 'g3', eventType: 'unknown', requested: true },
      ],
      openSince: new Date(minutesAgo(59)),
    });
  });

  it.each([
    [1, 10],
    [2, 20],
    [3, 40],
    [6, 320],
    [7, 360],
    [17, 360],
  ])('asks again for what it asked for %d times after %d minutes, and no sooner', async (times, minutes) => {
    github.sent = [2, 1].map((n) => ({ id: n, guid: `g${n}`, delivered_at: minutesAgo(3000 - n) }));
    askedBefore = new Map([
      ['g1', { times, last: new Date(minutesAgo(minutes - 0.01)) }],
      ['g2', { times, last: new Date(minutesAgo(minutes)) }],
    ]);
    expect(await run()).toEqual({
      checked: 2,
      missing: [
        { deliveryId: 'g2', eventType: 'unknown', requested: true },
        { deliveryId: 'g1', eventType: 'unknown', requested: false },
      ],
      openSince: new Date(minutesAgo(2999)),
    });
    expect(posts()).toEqual([`POST ${HOOK}/2/attempts`]);
  });

  it('counts from when a delivery was first sent, however often it was sent again', async () => {
    github.sent = [
      { id: 3, guid: 'g1', delivered_at: minutesAgo(0.5), redelivery: true },
      { id: 2, guid: 'g1', delivered_at: minutesAgo(100), redelivery: true },
      { id: 1, guid: 'g1', delivered_at: minutesAgo(200), redelivery: false },
    ];
    // The newest may still be on its way; should it not come, the first has to be looked at again.
    expect(await run()).toEqual({ checked: 1, missing: [], openSince: new Date(minutesAgo(200)) });
  });

  it('gives up what it asked for until GitHub forgot when it was first sent, and still names it', async () => {
    const day = 24 * 60;
    github.sent = [
      { id: 9, guid: 'g9', delivered_at: minutesAgo(2), redelivery: false },
      { id: 3, guid: 'old', delivered_at: minutesAgo(400), redelivery: true },
      { id: 2, guid: 'old', delivered_at: minutesAgo(2 * day), redelivery: true },
      { id: 1, guid: 'old', delivered_at: minutesAgo(3 * day + 1), redelivery: false },
    ];
    askedBefore = new Map([['old', { times: 17, last: new Date(minutesAgo(401)) }]]);
    const outcome = await run();
    expect(outcome.missing).toMatchObject([
      { deliveryId: 'g9', requested: true },
      { deliveryId: 'old', requested: false },
    ]);
    expect(outcome.openSince).toEqual(new Date(minutesAgo(2)));
    // Somebody wants it all the same.
    askedBefore = new Map();
    expect((await run()).missing).toMatchObject([{ deliveryId: 'old', requested: true }, { deliveryId: 'g9' }]);
  });

  it('asks for a thousand in one go, the oldest first, and says that there are more', async () => {
    github.perPage = 100;
    github.sent = Array.from({ length: 1_003 }, (_, n) => ({
      id: 1_003 - n,
      guid: `g${1_003 - n}`,
      delivered_at: minutesAgo(5 + n),
    }));
    askedBefore = new Map([['g1', { times: 2, last: new Date(minutesAgo(1)) }]]);
    const { missing, more, failure, openSince } = await run();
    expect([missing.length, more, failure]).toEqual([1_000, true, undefined]);
    expect(missing[0]).toMatchObject({ deliveryId: 'g2', requested: true });
    expect(openSince).toEqual(new Date(minutesAgo(1_007)));
    expect(posts()).toHaveLength(1_000);
    // What has to wait does not stand in the way of the others.
    arrived = new Set(missing.map(({ deliveryId }) => deliveryId));
    const rest = await run();
    expect([rest.missing.map(({ deliveryId }) => deliveryId), rest.more]).toEqual([
      ['g1002', 'g1003', 'g1'],
      undefined,
    ]);
  });

  it('names a hundred of those that have to wait', async () => {
    github.perPage = 1_000;
    github.sent = Array.from({ length: 300 }, (_, n) => ({ id: n, guid: `g${n}`, delivered_at: minutesAgo(5) }));
    const last = new Date(minutesAgo(1));
    askedBefore = new Map(github.sent.map(({ guid }) => [guid, { times: 1, last }]));
    expect((await run()).missing).toHaveLength(100);
  });

  it('says so where there is no end to the pages, and asks for what is missing of those that it has seen', async () => {
    github.perPage = 1;
    github.sent = Array.from({ length: 201 }, (_, n) => ({ id: n, guid: `g${n}`, delivered_at: minutesAgo(5) }));
    expect(await run()).toMatchObject({ checked: 200, failure: { code: 'too_many' } });
    expect(posts()).toHaveLength(200);
  });

  it('says what it got done where it is interrupted', async () => {
    github.sent = [2, 1].map((n) => ({ id: n, guid: `g${n}`, delivered_at: minutesAgo(60 - n) }));
    const abort = new AbortController();
    const http: StepHttp = {
      request: (request) => {
        if (posts().length === 1) {
          abort.abort();
          return Promise.reject(new Error('aborted'));
        }
        return github.request(request);
      },
    };
    expect(await run({ http, signal: abort.signal })).toMatchObject({
      missing: [
        { deliveryId: 'g1', requested: true },
        { deliveryId: 'g2', requested: false },
      ],
      failure: { code: 'interrupted' },
    });
  });

  const answering = (link: string): StepHttp => ({
    request: async (request) => {
      const { host, searchParams } = new URL(request.url);
      asked.push(`${host} ${searchParams.get('cursor')}`);
      const outcome = await github.request({ ...request, url: request.url.replace(/[?].*/, '') });
      return { ...outcome, headers: searchParams.has('cursor') ? {} : { link } };
    },
  });
  let asked: string[];
  beforeEach(() => {
    asked = [];
  });

  it.each([
    '<https://evil.example/next?cursor=v1_9>; rel="next"',
    `<${DOCUMENTED}?cursor=v1_9&per_page=100>; rel="next"`,
    `<https://api.github.com${HOOK}?cursor=v1_9>; rel=next`,
    `</elsewhere?cursor=v1_9>; title="next, please"; rel="last next"`,
    `${PREVIOUS}, <?cursor=v1_9>; rel="next"; title="x"`,
  ])('takes the cursor of the next page and nothing else, so that its token goes nowhere else: %s', async (link) => {
    expect(await run({ http: answering(link) })).toEqual({ checked: 0, missing: [] });
    expect(asked).toEqual(['api.github.com null', 'api.github.com v1_9']);
  });

  it.each([
    '<https://evil.example/next>; rel="next"',
    `<${DOCUMENTED}?page=2>; rel="next"`,
    '<https://[>; rel="next"',
    '<>; rel="next"',
  ])('says so where the next page has no cursor, instead of having been through: %s', async (link) => {
    expect(await run({ http: answering(link) })).toMatchObject({
      failure: { code: 'no_cursor', detail: expect.stringContaining('not checked') },
    });
    expect(asked).toEqual(['api.github.com null']);
  });

  it('is through where there is no next page', async () => {
    expect(await run({ http: answering(PREVIOUS) })).toEqual({ checked: 0, missing: [] });
    expect(asked).toHaveLength(1);
  });

  it('understands nothing of an answer that is no list, and does not break', async () => {
    github.broken = { GET: { body: Buffer.from('<html>') } };
    expect(await run()).toEqual({ checked: 0, missing: [] });
  });
});
