import { ok, strictEqual } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import fc from 'fast-check';

import { problemsOf } from '#libs/events/src/check.js';
import type { Json, JsonObject } from '#libs/kernel/src/json.js';

import type { InboundRequest, Provider, ProviderContext, Verdict } from '../src/define-provider.js';
import { isInboundType } from '../src/inbound-types.js';
import { isProofHeader } from '../src/proof-headers.js';
import { verdictProblem } from '../src/loading/verdict-shape.js';
import { changed, changesOf, headerValue, otherLetter, without } from './changes.js';
import {
  answerTo,
  deliveriesOf,
  inShape,
  NO_REQUEST,
  NO_VALUE,
  requestOf,
  sameJson,
  understood,
  valuesOf,
} from './saved-request.js';

export interface ExpectedDelivery {
  /** Type of each event that the request becomes, in order; none where nothing is to be recorded. */
  readonly types: readonly string[];
  /** The sender's own name of it. */
  readonly eventType?: string;
  readonly deliveryId?: string;
  /** Status of the provider's own answer; absent: it leaves the answer to the platform. */
  readonly answer?: number;
}

export interface ProviderUnderTest {
  readonly provider: Provider;
  /** Folder of saved requests, `*.http`. */
  readonly fixtures: URL | string;
  /** What each file becomes, by its name. A file that is not here is a mistake, and so is a name without a file. */
  readonly expected: Readonly<Record<string, ExpectedDelivery>>;
  /** With which the saved requests are authenticated. */
  readonly secret: string;
  /** A secret of the same form that is not it. Default: the secret with its last letter changed. */
  readonly wrongSecret?: string;
  readonly config?: JsonObject;
  /** When the requests were saved: schemes with a signed time refuse them at any other. Default: now. */
  readonly now?: Date;
  /** Whether a saved request is refused ten minutes before and after `now`. Default false. */
  readonly signsTime?: boolean;
  /** Whether every byte of the body is signed: true (default) for signatures, false for tokens. */
  readonly signsBody?: boolean;
  /** Headers that hold the proof. Default: those that `provider.sign` gives. */
  readonly proof?: readonly string[];
  /** What becomes of a request where no secret is configured: believed by its URL (default), or refused. */
  readonly withoutSecret?: 'slug' | 'refused';
  /** The way out, for providers that fetch keys. */
  readonly http?: ProviderContext['http'];
}

export interface Check {
  readonly title: string;
  run(): Promise<void>;
}

const STALE_MS = 600_000;
const RUNS = 100;

/** Everything that a provider has to stand, as functions that throw: {@link describeProvider} makes tests of them. */
export function providerChecks(given: ProviderUnderTest): readonly Check[] {
  const { provider, expected } = given;
  const now = given.now ?? new Date();
  const folder = typeof given.fixtures === 'string' ? given.fixtures : fileURLToPath(given.fixtures);
  const files = readdirSync(folder).filter((name) => name.endsWith('.http'));
  const saved = new Map(files.map((name) => [name, requestOf(readFileSync(join(folder, name)), name)]));
  const context = (more: Partial<ProviderContext> = {}): ProviderContext => ({
    secrets: [given.secret],
    config: given.config ?? {},
    now,
    http: given.http,
    ...more,
  });
  const proof = given.proof ?? Object.keys(provider.sign?.([...saved.values()][0] ?? NO_REQUEST, context()) ?? {});
  const wrong = given.wrongSecret ?? otherLetter(given.secret, given.secret.length - 1);
  const verify = async (request: InboundRequest, more: Partial<ProviderContext> = {}): Promise<Verdict> => {
    const verdict = await provider.verify(request, context(more));
    strictEqual(verdictProblem(verdict), undefined);
    return verdict;
  };
  const refused = async (request: InboundRequest, what: string, more: Partial<ProviderContext> = {}) => {
    const verdict = await verify(request, more);
    ok(!verdict.ok, `${what} was believed`);
    return verdict.reason;
  };

  const checks: Check[] = [];
  const check = (title: string, run: () => void | Promise<void>) => checks.push({ title, run: async () => run() });

  check('has a saved request for every expectation, and an expectation for every saved request', () => {
    sameJson([...files].sort(), Object.keys(expected).sort());
    ok(files.length > 0, `there is no file *.http in ${folder}`);
  });
  check('keeps no header that proves who sent it', () => {
    sameJson((provider.keepHeaders ?? []).filter(isProofHeader), [], 'these headers would be stored in the log');
  });

  for (const [file, request] of saved) {
    const wanted = expected[file];
    if (!wanted) continue;
    const made = () => understood(provider, request, context());

    check(`${file} is believed`, async () => {
      const verdict = await verify(request);
      ok(verdict.ok, `refused: ${verdict.ok ? '' : verdict.reason}`);
      ok(verdict.authentication !== 'slug', 'it was believed without a proof, although there is a secret');
    });
    check(`${file} is believed while its secret is an old one that is still listed`, async () => {
      const verdict = await verify(request, { secrets: [wrong, given.secret] });
      ok(verdict.ok || given.withoutSecret === 'refused', 'only the newest secret is tried');
    });
    if (given.withoutSecret !== 'refused')
      check(`${file} is refused with a wrong secret`, async () => {
        await refused(request, 'a request that is signed with another secret', { secrets: [wrong] });
      });
    check(
      `${file} is ${given.withoutSecret === 'refused' ? 'refused' : 'believed'} without a proof where no secret is set`,
      async () => {
        const bare = { ...request, headers: without(request.headers, proof) };
        const verdict = await verify(bare, { secrets: [] });
        if (given.withoutSecret === 'refused') ok(!verdict.ok, 'it was believed without any proof');
        else sameJson(verdict, { ok: true, authentication: 'slug' });
      },
    );
    check(`${file} is refused without its proof`, async () => {
      ok(
        proof.length > 0,
        "name the headers that hold the proof: proof: ['x-acme-signature'], or give the provider sign",
      );
      await refused({ ...request, headers: without(request.headers, proof) }, 'a request without proof');
    });
    check(`${file} is refused with any letter of its proof changed`, async () => {
      for (const name of proof)
        for (const changed of changesOf(request.headers[name] ?? ''))
          await refused({ ...request, headers: { ...request.headers, [name]: changed } }, `${name}: ${changed}`);
    });
    if (given.signsBody !== false && request.rawBody.length > 0)
      check(`${file} is refused with any bit of its body flipped`, async () => {
        await fc.assert(
          fc.asyncProperty(fc.nat(request.rawBody.length * 8 - 1), async (bit) => {
            const rawBody = Buffer.from(request.rawBody);
            rawBody[bit >> 3]! ^= 1 << (bit & 7);
            await refused({ ...request, rawBody }, `a body with bit ${bit} flipped`);
          }),
          { numRuns: RUNS },
        );
      });
    if (given.signsTime === true)
      check(`${file} is refused as stale ten minutes before and after`, async () => {
        for (const shift of [-STALE_MS, STALE_MS]) {
          const reason = await refused(request, 'an old request', { now: new Date(now.getTime() + shift) });
          strictEqual(reason, 'stale');
        }
      });
    if (provider.sign)
      check(`${file} is believed when it is signed anew`, async () => {
        const later = { now: new Date(now.getTime() + STALE_MS) };
        const signed = provider.sign!(request, context(later));
        const verdict = await verify({ ...request, headers: { ...request.headers, ...signed } }, later);
        ok(verdict.ok, `refused: ${verdict.ok ? '' : verdict.reason}`);
      });
    check(`${file} becomes ${wanted.types.join(', ') || 'nothing'}`, () => {
      const lines = made();
      sameJson(
        lines.flatMap(({ events }) => events.map(({ type }) => type)),
        wanted.types,
      );
      if (wanted.eventType !== undefined) strictEqual(lines[0]!.eventType, wanted.eventType);
      if (wanted.deliveryId !== undefined) strictEqual(lines[0]!.deliveryId, wanted.deliveryId);
    });
    check(`${file} becomes events that satisfy the schemas of their types`, () => {
      for (const { type, data } of made().flatMap(({ events }) => events)) {
        ok(isInboundType(type), `${type} is no type that may come from outside: use webhook.received`);
        sameJson(problemsOf(type, data), []);
      }
    });
    check(`${file} becomes the same when it is delivered again`, () => {
      sameJson(made(), made());
    });
    check(`${file} is answered as the sender expects`, () => {
      const answer = answerTo(provider, request, context());
      strictEqual(answer?.status, wanted.answer);
      ok(
        answer === undefined || (answer.status >= 200 && answer.status < 300),
        'what is stored is answered with success',
      );
    });
    check(`${file} with any part of it changed never makes it throw`, () => {
      const [{ value, kind } = NO_VALUE] = valuesOf(request, provider);
      fc.assert(
        fc.property(changed(value), (other) => {
          const body = { value: other, kind, request };
          inShape(provider.normalise(body, context()));
          provider.respond?.(body, { eventIds: [], duplicate: false }, context());
        }),
        { numRuns: RUNS },
      );
    });
    check(`${file} with any header changed never makes it throw`, async () => {
      const headers = fc.dictionary(fc.constantFrom(...Object.keys(request.headers)), headerValue);
      await fc.assert(
        fc.asyncProperty(headers, fc.boolean(), async (some, instead) => {
          const other = { ...request, headers: instead ? some : { ...request.headers, ...some } };
          await verify(other);
          const [first = NO_VALUE] = valuesOf(request, provider);
          inShape(provider.normalise({ ...first, request: other }, context()));
        }),
        { numRuns: RUNS },
      );
    });
  }

  check('different deliveries have different ids', () => {
    const ids = [...saved].flatMap(([file, request]) =>
      expected[file] ? deliveriesOf(understood(provider, request, context())) : [],
    );
    strictEqual(new Set(ids).size, ids.length, `some are the same: ${ids.join(', ')}`);
  });
  check('any JSON never makes it throw', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom('json', 'form', 'ndjson', 'batch'), (value, kind) => {
        const body = { value: value as Json, kind, request: NO_REQUEST } as const;
        inShape(provider.normalise(body, context()));
        provider.respond?.(body, { eventIds: [], duplicate: false }, context());
      }),
      { numRuns: RUNS },
    );
  });
  check('any bytes and headers are refused or believed, and never make it throw', async () => {
    const names = [...new Set([...proof, ...(provider.keepHeaders ?? []), 'authorization', 'content-type'])];
    const headers = fc.dictionary(fc.constantFrom(...names), headerValue);
    await fc.assert(
      fc.asyncProperty(headers, fc.uint8Array(), async (some, bytes) => {
        const request = { ...NO_REQUEST, headers: some, rawBody: Buffer.from(bytes) };
        await refused(request, 'a request without proof');
        await verify(request, { secrets: [] });
      }),
      { numRuns: RUNS },
    );
  });
  return checks;
}
