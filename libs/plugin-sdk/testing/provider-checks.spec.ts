import { readFileSync } from 'node:fs';

import { beforeAll, describe, expect, it } from '@jest/globals';

import type {
  InboundBody,
  InboundRequest,
  Normalised,
  NormalisedEvent,
  Provider,
  ProviderContext,
  Verdict,
} from '../src/define-provider.js';
import type { Json } from '../src/fields.js';
import { parseHttpFile } from '../src/http-file.js';
import { describeProvider } from './describe-provider.js';
import { providerChecks, type ProviderUnderTest } from './provider-checks.js';
import { readable } from './readable.js';

const EXAMPLE = new URL('../../../docs/examples/provider-shipyard/', import.meta.url);
const NO: Verdict = { ok: false, reason: 'signature_mismatch' };

let shipyard: Provider;
beforeAll(async () => {
  // The example of a third party, as it is: it is what gets broken here.
  ({ shipyard } = (await import(new URL('index.js', EXAMPLE).href)) as { shipyard: Provider });
});

const given = (more: Partial<ProviderUnderTest> = {}): ProviderUnderTest => ({
  provider: shipyard,
  fixtures: new URL('fixtures/', EXAMPLE),
  secret: 'shipyard-fixture-secret',
  now: new Date('2026-11-20T13:14:15Z'),
  signsTime: true,
  expected: {
    'deploy-finished.http': { types: ['pipeline.finished'], eventType: 'deploy.finished', deliveryId: 'dep-81' },
    'deploy-failed.http': { types: ['pipeline.finished'], deliveryId: 'dep-82' },
    'gate-opened.http': { types: ['webhook.received'], eventType: 'gate.opened' },
  },
  ...more,
});

/** Titles of those checks that fail, among those whose title fits. */
async function failures(underTest: ProviderUnderTest, titles = /./): Promise<readonly string[]> {
  const failed: string[] = [];
  for (const { title, run } of providerChecks(underTest))
    if (titles.test(title))
      await run().catch((error: unknown) => failed.push(`${title}: ${String((error as Error).message)}`));
  return failed;
}

const SIGNATURE = 'x-shipyard-signature';
const TIME = 'x-shipyard-time';
const verify = async (request: InboundRequest, context: ProviderContext) => shipyard.verify(request, context);

/** A verify that compares with what is right for this request, in a way of its own. */
const comparing =
  (fits: (shown: string, right: string) => boolean, over = (request: InboundRequest) => request): Provider['verify'] =>
  (request, context) => {
    if (context.secrets.length === 0) return { ok: true, authentication: 'slug' };
    const shown = request.headers[SIGNATURE];
    const seconds = Number(request.headers[TIME]);
    if (shown === undefined || Number.isNaN(seconds)) return NO;
    const now = new Date(seconds * 1000);
    const right = (secret: string) => shipyard.sign!(over(request), { ...context, secrets: [secret], now })[SIGNATURE]!;
    if (!context.secrets.some((secret) => fits(shown, right(secret)))) return NO;
    return Math.abs(context.now.getTime() - now.getTime()) <= 300_000
      ? { ok: true, authentication: 'hmac-sha256' }
      : { ok: false, reason: 'stale' };
  };

/** What the example makes of a body, changed. */
const making =
  (change: (made: Normalised, body: InboundBody) => object): Provider['normalise'] =>
  (body, context) => {
    const made = readable(shipyard.normalise(body, context));
    return { ...made, ...change(made, body) };
  };
const eachEvent = (change: (event: NormalisedEvent) => object): Provider['normalise'] =>
  making(({ events }) => ({ events: events.map((event) => ({ ...event, ...change(event) })) }));
const anything = (value: Json): any => value;

/** What an author gets wrong, and the check that finds it. */
const MISTAKES: readonly (readonly [mistake: string, broken: Partial<Provider>, found: RegExp])[] = [
  ['believes everybody', { verify: () => ({ ok: true, authentication: 'none' }) }, /with a wrong secret/],
  ['believes nobody', { verify: () => NO }, /[.]http is believed$/],
  [
    'returns true in place of a verdict',
    { verify: async (request, context) => anything((await verify(request, context)).ok) },
    /[.]http is believed$/,
  ],
  [
    'names no authentication',
    {
      verify: async (request, context) => {
        const verdict = await verify(request, context);
        return verdict.ok ? anything({ ok: true }) : verdict;
      },
    },
    /[.]http is believed$/,
  ],
  [
    'refuses for a reason of its own',
    {
      verify: async (request, context) => {
        const verdict = await verify(request, context);
        return verdict.ok ? verdict : anything({ ok: false, reason: 'bad_signature' });
      },
    },
    /with a wrong secret/,
  ],
  [
    'takes the signature for optional',
    {
      verify: (request, context) =>
        request.headers[SIGNATURE] === undefined ? { ok: true, authentication: 'none' } : verify(request, context),
    },
    /refused without its proof/,
  ],
  [
    'says that the URL was enough, though there is a secret',
    {
      verify: async (request, context) => {
        const verdict = await verify(request, context);
        return verdict.ok ? { ok: true, authentication: 'slug' } : verdict;
      },
    },
    /[.]http is believed$/,
  ],
  [
    'tries the newest secret alone',
    { verify: (request, context) => verify(request, { ...context, secrets: context.secrets.slice(0, 1) }) },
    /old one that is still listed/,
  ],
  [
    'wants a secret where none is set',
    { verify: (request, context) => (context.secrets.length === 0 ? NO : verify(request, context)) },
    /believed without a proof where no secret is set/,
  ],
  [
    'compares the beginning of the signature',
    { verify: comparing((shown, right) => shown.startsWith(right.slice(0, 60))) },
    /any letter of its proof changed/,
  ],
  [
    'looks at the first bytes of the body only',
    { verify: (request, context) => verify({ ...request, rawBody: savedBodyLike(request.rawBody) }, context) },
    /any bit of its body flipped/,
  ],
  [
    'forgets the time',
    {
      verify: (request, context) => {
        const now = new Date(Number(request.headers[TIME]) * 1000);
        return verify(request, { ...context, now });
      },
    },
    /stale ten minutes before and after/,
  ],
  [
    'refuses requests of the past and believes those of the future',
    {
      verify: async (request, context) => {
        const sent = Number(request.headers[TIME]) * 1000;
        return verify(request, { ...context, now: new Date(Math.max(context.now.getTime(), sent)) });
      },
    },
    /stale ten minutes before and after/,
  ],
  [
    'calls an old request wrong, not old',
    {
      verify: async (request, context) => {
        const verdict = await verify(request, context);
        return verdict.ok ? verdict : NO;
      },
    },
    /stale ten minutes before and after/,
  ],
  ['signs with the wrong thing', { sign: () => ({ [SIGNATURE]: 'v1=0' }) }, /believed when it is signed anew/],
  ['stores the signature', { keepHeaders: [SIGNATURE] }, /keeps no header that proves/],
  ['gives an id of its own', { normalise: making(() => ({ deliveryId: String(nth++) })) }, /same when it is delivered/],
  ['gives every delivery one id', { normalise: making(() => ({ deliveryId: 'x' })) }, /different deliveries have/],
  [
    'leaves out the id',
    { normalise: making(() => ({ deliveryId: undefined })) },
    /deploy-finished[.]http becomes pipe/,
  ],
  [
    'calls it by another name',
    { normalise: making(() => ({ eventType: 'x' })) },
    /deploy-finished[.]http becomes pipe/,
  ],
  ['makes nothing of it', { normalise: making(() => ({ events: [] })) }, /deploy-finished[.]http becomes pipeline/],
  ['gives a type that nobody knows', { normalise: eachEvent(() => ({ type: 'deploy.done' })) }, /satisfy the schemas/],
  [
    'gives a type that is for the platform alone',
    { normalise: eachEvent(() => ({ type: 'webhook.delivered' })) },
    /satisfy the schemas/,
  ],
  ['leaves out a neutral field', { normalise: eachEvent(() => ({ data: {} })) }, /satisfy the schemas/],
  [
    'gives null for what is not known',
    { normalise: eachEvent(({ data }) => ({ data: { ...data, author: null } })) },
    /satisfy the schemas/,
  ],
  [
    'takes a field for granted',
    { normalise: making((_, { value }) => ({ action: anything(value).app.split('/')[0] as string })) },
    /any JSON never makes it throw/,
  ],
  [
    'takes the type of a field for granted',
    { normalise: making((_, { value }) => ({ action: anything(value)?.by?.trim() as string })) },
    /any part of it changed never makes it throw/,
  ],
  [
    'takes a header for granted',
    { normalise: making((_, { request }) => ({ action: request.headers['user-agent']!.trim() })) },
    /any JSON never makes it throw/,
  ],
  [
    'decodes a header while it looks what happened',
    { normalise: making((_, { request }) => ({ action: decodeURIComponent(request.headers['user-agent'] ?? '') })) },
    /any header changed never makes it throw/,
  ],
  ['makes one wait', { normalise: (async () => ({ eventType: 'x', events: [] })) as never }, /becomes/],
  ['gives no list', { normalise: making(() => ({ events: {} })) }, /becomes/],
  ['gives an id that is a number', { normalise: making(() => ({ deliveryId: 7 })) }, /becomes/],
  ['gives fields that JSON cannot hold', { normalise: eachEvent(() => ({ data: { big: 1n } })) }, /becomes|satisfy/],
  ['calls what it was sent unreadable', { normalise: () => ({ unreadable: 'no' }) }, /becomes/],
  ['answers where nobody expects it', { respond: () => ({ status: 200, body: 'ok' }) }, /answered as the sender/],
  ['answers with a failure what is stored', { respond: () => ({ status: 500, body: '' }) }, /answered as the sender/],
  [
    'throws while it answers',
    {
      respond: ({ value }) => {
        void anything(value).id.length;
        return undefined;
      },
    },
    /any JSON never makes it throw/,
  ],
  [
    'reads the body before it knows the sender',
    {
      verify: (request, context) => {
        JSON.parse(request.rawBody.toString());
        return verify(request, context);
      },
    },
    /any bytes and headers/,
  ],
  [
    'decodes a header that anybody may have sent',
    {
      verify: (request, context) => {
        decodeURIComponent(request.headers[TIME] ?? '');
        return verify(request, context);
      },
    },
    /any bytes and headers/,
  ],
];
let nth = 0;
/** As if the rest of the body were not there: that of the saved request, which begins alike, in its place. */
const savedBodyLike = (body: Buffer): Buffer =>
  savedBodies.find((one) => one.subarray(0, 20).equals(body.subarray(0, 20))) ?? body;
const savedBodies = ['deploy-finished', 'deploy-failed', 'gate-opened'].map(
  (name) => parseHttpFile(readFileSync(new URL(`fixtures/${name}.http`, EXAMPLE))).body,
);

describe('the checks of providers', () => {
  it('find nothing wrong with the example', async () => {
    expect(await failures(given())).toEqual([]);
  });

  it.each(MISTAKES)('find a provider that %s', async (_, broken, found) => {
    expect(await failures(given({ provider: { ...shipyard, ...broken } }), found)).not.toEqual([]);
  });

  it('say what verify must return', async () => {
    const found = await failures(
      given({ provider: { ...shipyard, verify: () => anything(true) } }),
      /[.]http is believed$/,
    );
    expect(found[0]).toContain(
      'verify must return { ok: true, authentication } or { ok: false, reason }; it returned true',
    );
  });

  it('find a saved request of which nothing is expected, and an expectation without one', async () => {
    const { 'gate-opened.http': _, ...others } = given().expected;
    const there = /a saved request for every expectation/;
    expect(await failures(given({ expected: others }), there)).toHaveLength(1);
    expect(await failures(given({ expected: { ...given().expected, 'x.http': { types: [] } } }), there)).toHaveLength(
      1,
    );
  });

  it('find a scheme of which nobody says where its proof is', async () => {
    const { sign: _, ...unsigned } = shipyard;
    expect(await failures(given({ provider: unsigned }), /without its proof/)).toEqual(
      Array.from({ length: 3 }, () => expect.stringMatching(/name the headers that hold the proof/)),
    );
    expect(await failures(given({ provider: unsigned, proof: [SIGNATURE] }), /without its proof/)).toEqual([]);
  });

  it('tell which file cannot be read, and the line', () => {
    expect(() => providerChecks({ ...given(), fixtures: broken })).toThrow(
      /^no-blank-line[.]http: line 3: end the head/,
    );
  });
});

const broken = new URL('fixtures/broken/', import.meta.url);

describe('describeProvider', () => {
  it('makes a test of every check, with the runner that it is given', () => {
    const titles: string[] = [];
    describeProvider(given(), {
      describe: (title, body) => (titles.push(title), body()),
      it: (title) => titles.push(title),
    });
    expect(titles).toEqual(['provider shipyard', ...providerChecks(given()).map(({ title }) => title)]);
  });

  it('says what to do where there is no runner', () => {
    // Jest has its functions as globals here: only what is passed can be missing.
    const runner = { describe: undefined, it: undefined };
    expect(() => describeProvider(given(), runner as never)).toThrow(/runner/);
  });
});
