import { generateKeyPairSync } from 'node:crypto';

import { beforeEach, describe, expect, it } from '@jest/globals';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

import type { InboundRequest, ProviderContext } from '#libs/plugin-sdk/src/define-provider.js';
import type { StepHttp, StepHttpOutcome } from '#libs/plugin-sdk/src/define-step.js';
import { readable } from '#libs/plugin-sdk/testing/readable.js';

import { botframework } from './botframework.js';

const NOW = new Date('2026-11-20T13:14:15Z');
const SECONDS = NOW.getTime() / 1000;
const APP = 'app-1';
const SERVICE = 'https://smba.trafficmanager.net/emea/';
const activity = { type: 'message', id: 'a1', serviceUrl: SERVICE, channelId: 'msteams', text: 'hi' };

interface Signer {
  readonly kid: string;
  readonly jwk: JWK;
  readonly privateKey: Awaited<ReturnType<typeof generateKeyPair>>['privateKey'];
}
/** A pair of RSA keys takes a tenth of a second to make: one for each name serves all tests. */
const pairs = new Map<string, ReturnType<typeof generateKeyPair>>();
async function signer(kid: string, endorsements?: readonly string[]): Promise<Signer> {
  const pair = pairs.get(kid) ?? generateKeyPair('RS256');
  pairs.set(kid, pair);
  const { publicKey, privateKey } = await pair;
  const jwk = { ...(await exportJWK(publicKey)), kid, ...(endorsements && { endorsements }) } as JWK;
  return { kid, jwk, privateKey };
}

/** The issuer: OpenID metadata and the keys that it points to; each address is one of its own, as keys are remembered. */
class Issuer implements StepHttp {
  static made = 0;
  readonly metadataUrl = `https://issuer.example/${++Issuer.made}`;
  readonly asked: string[] = [];
  keys: readonly JWK[] = [];
  down: Partial<Extract<StepHttpOutcome, { kind: 'failed' }>> | number | string | undefined;

  request({ url }: { readonly url: string }): Promise<StepHttpOutcome> {
    this.asked.push(url);
    if (typeof this.down === 'object')
      return Promise.resolve({ kind: 'failed', failureClass: 'timeout', detail: 'no answer', latencyMs: 1 });
    const text =
      typeof this.down === 'string'
        ? this.down
        : JSON.stringify(url === this.metadataUrl ? { jwks_uri: `${url}/keys` } : { keys: this.keys });
    const status = typeof this.down === 'number' ? this.down : 200;
    return Promise.resolve({
      kind: 'response',
      status,
      headers: {},
      body: Buffer.from(text),
      truncated: false,
      latencyMs: 1,
    });
  }
}

let issuer: Issuer;
let key: Signer;
beforeEach(async () => {
  issuer = new Issuer();
  key = await signer('k1');
  issuer.keys = [key.jwk];
});

/** Of 1024 bits. */
const WEAK = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' }) as JWK;

interface TokenParts {
  readonly issuer?: string;
  readonly audience?: string;
  readonly serviceurl?: string;
  readonly from?: number;
  readonly until?: number;
  readonly by?: Signer;
  readonly alg?: string;
}
const token = (parts: TokenParts = {}): Promise<string> => {
  const by = parts.by ?? key;
  return new SignJWT({ serviceurl: parts.serviceurl ?? SERVICE })
    .setProtectedHeader({ alg: parts.alg ?? 'RS256', kid: by.kid })
    .setIssuer(parts.issuer ?? 'https://api.botframework.com')
    .setAudience(parts.audience ?? APP)
    .setNotBefore(parts.from ?? SECONDS - 60)
    .setExpirationTime(parts.until ?? SECONDS + 3600)
    .sign(by.privateKey);
};
const verify = (jwt: string | undefined, body: object = activity, more: Partial<ProviderContext> = {}) => {
  const request: InboundRequest = {
    headers: jwt === undefined ? {} : { authorization: `Bearer ${jwt}` },
    rawBody: Buffer.from(JSON.stringify(body)),
    query: {},
    contentType: 'application/json',
    sourceIp: '127.0.0.1',
  };
  const config = { appId: APP, openIdMetadataUrl: issuer.metadataUrl };
  return botframework.verify(request, { secrets: [], config, now: NOW, http: issuer, ...more });
};
const accepted = { ok: true, authentication: 'jwt' };
const refused = (reason: string) => ({ ok: false, reason });
const later = (ms: number): Date => new Date(NOW.getTime() + ms);

describe('a token of the Bot Connector', () => {
  it('is believed, and its keys are fetched once for many', async () => {
    const jwt = await token();
    for (let nth = 0; nth < 3; nth++) expect(await verify(jwt)).toEqual(accepted);
    expect(issuer.asked).toEqual([issuer.metadataUrl, `${issuer.metadataUrl}/keys`]);
  });

  it('is waited for by all that come while its key is fetched', async () => {
    const jwt = await token();
    expect(await Promise.all(Array.from({ length: 20 }, async () => verify(jwt)))).toEqual(Array(20).fill(accepted));
    expect(issuer.asked).toHaveLength(2);
  });

  it.each<[string, TokenParts, string]>([
    ['another issuer', { issuer: 'https://sts.windows.net/x' }, 'signature_mismatch'],
    ['another bot', { audience: 'app-2' }, 'signature_mismatch'],
    ['another service', { serviceurl: 'https://evil.example/' }, 'signature_mismatch'],
    ['before: it is over', { from: SECONDS - 7200, until: SECONDS - 301 }, 'stale'],
    ['later: it has not begun', { from: SECONDS + 301, until: SECONDS + 7200 }, 'stale'],
  ])('for %s is refused', async (_, parts, reason) => {
    expect(await verify(await token(parts))).toEqual(refused(reason));
  });

  it('is believed within five minutes around its time, since clocks differ', async () => {
    expect(await verify(await token({ from: SECONDS - 7200, until: SECONDS - 290 }))).toEqual(accepted);
    expect(await verify(await token({ from: SECONDS + 290 }))).toEqual(accepted);
  });

  it('that is missing or no token is refused without asking anybody', async () => {
    expect(await verify(undefined)).toEqual(refused('signature_missing'));
    const unsigned = `${Buffer.from('{"alg":"none","kid":"k1"}').toString('base64url')}.e30.`;
    const symmetric = await new SignJWT({})
      .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
      .sign(Buffer.from(JSON.stringify(key.jwk)));
    for (const jwt of ['abc', 'a.b.c', `${'a'.repeat(9000)}.b.c`, `${unsigned}x`, symmetric])
      expect(await verify(jwt)).toEqual(refused('signature_malformed'));
    expect(issuer.asked).toEqual([]);
  });

  it('with one letter of its signature changed is refused', async () => {
    const jwt = await token();
    const at = jwt.length - 20;
    expect(await verify(`${jwt.slice(0, at)}${jwt[at] === 'A' ? 'B' : 'A'}${jwt.slice(at + 1)}`)).toEqual(
      refused('signature_mismatch'),
    );
  });

  it('speaks only for the channels that its key is endorsed for', async () => {
    const endorsed = await signer('k2', ['msteams']);
    issuer.keys = [endorsed.jwk];
    const jwt = await token({ by: endorsed });
    expect(await verify(jwt)).toEqual(accepted);
    expect(await verify(jwt, { ...activity, channelId: 'slack' })).toEqual(refused('signature_mismatch'));
    expect(await verify(jwt, { ...activity, channelId: undefined })).toEqual(refused('signature_mismatch'));
  });

  it('does not make a body believed that is none', async () => {
    expect(await verify(await token(), [])).toEqual(refused('signature_mismatch'));
  });
});

describe('the keys of the issuer', () => {
  it('are looked at again when one is unknown: it may be new', async () => {
    expect(await verify(await token())).toEqual(accepted);
    const next = await signer('k2');
    issuer.keys = [key.jwk, next.jwk];
    expect(await verify(await token({ by: next }), activity, { now: later(61_000) })).toEqual(accepted);
  });

  it('are not asked for by everybody who makes up a key', async () => {
    expect(await verify(await token())).toEqual(accepted);
    const [asked, other] = [issuer.asked.length, await signer('made-up')];
    for (let nth = 0; nth < 5; nth++)
      expect(await verify(await token({ by: other }), activity, { now: later(nth * 10_000) })).toEqual({
        ...refused('unavailable'),
        detail: expect.stringContaining('made-up'),
      });
    expect(issuer.asked).toHaveLength(asked);
    expect(await verify(await token({ by: other }), activity, { now: later(61_000) })).toEqual(
      refused('signature_mismatch'),
    );
  });

  it('that are new while made-up ones are asked for are not refused for good: the sender tries again', async () => {
    expect(await verify(await token())).toEqual(accepted);
    const [next, other] = [await signer('k2'), await signer('made-up')];
    expect(await verify(await token({ by: other }), activity, { now: later(61_000) })).toMatchObject({ ok: false });
    issuer.keys = [key.jwk, next.jwk];
    const jwt = await token({ by: next });
    expect(await verify(jwt, activity, { now: later(62_000) })).toMatchObject(refused('unavailable'));
    expect(await verify(jwt, activity, { now: later(122_000) })).toEqual(accepted);
  });

  it('may be many, with certificates, as those of Microsoft: more than 1 MB', async () => {
    const others = Array.from({ length: 300 }, (_, n) => ({ ...key.jwk, kid: `x${n}`, x5c: ['A'.repeat(9500)] }));
    issuer.keys = [...others, key.jwk];
    expect(await verify(await token())).toEqual(accepted);
  });

  it.each<[string, (jwk: JWK) => JWK]>([
    ['has less than 2048 bits', () => WEAK],
    ['has no modulus', ({ n: _, ...jwk }) => jwk],
    ['has a modulus that is not one', (jwk) => ({ ...jwk, n: 7 as never })],
    ['has an exponent that is not one', (jwk) => ({ ...jwk, e: '' })],
  ])('one of which %s is not used, and the log says so', async (_, change) => {
    issuer.keys = [{ ...change(key.jwk), kid: 'k1' }];
    const verdict = await verify(await token());
    expect(verdict).toEqual({ ...refused('signature_mismatch'), detail: expect.stringContaining('k1') });
  });

  it.each<[string, Issuer['down']]>([
    ['do not answer', {}],
    ['answer 500', 500],
    ['do not answer JSON', '<html>'],
    ['have no keys', '{}'],
  ])('leave it open whether a token is right while they %s', async (_, down) => {
    issuer.down = down;
    expect(await verify(await token())).toEqual({
      ...refused('unavailable'),
      detail: expect.stringContaining(issuer.metadataUrl),
    });
    issuer.down = undefined;
    expect(await verify(await token())).toEqual(accepted);
  });

  it('of yesterday are used while the issuer cannot be asked', async () => {
    expect(await verify(await token())).toEqual(accepted);
    issuer.down = 503;
    const tomorrow = later(25 * 3_600_000);
    const jwt = await token({ until: SECONDS + 48 * 3600 });
    expect(await verify(jwt, activity, { now: tomorrow })).toEqual(accepted);
  });

  it('are not fetched where outgoing requests are not available', async () => {
    expect(await verify(await token(), activity, { http: undefined })).toMatchObject(refused('unavailable'));
  });
});

describe('an activity', () => {
  const read = (value: object) =>
    readable(
      botframework.normalise(
        { value: value as never, kind: 'json', request: {} as never },
        { secrets: [], config: {}, now: NOW },
      ),
    );

  const message = { ...activity, conversation: { id: 'c' }, from: { id: 'u' } };
  const idOf = (value: object) => read(value).deliveryId;

  it('of a changed message is another delivery than the message', () => {
    expect(idOf(message)).toBe('msteams c a1');
    const changed = read({ ...message, type: 'messageUpdate', timestamp: '2026-11-20T13:15:00Z' });
    expect(changed.deliveryId).toMatch(/^msteams c a1 messageUpdate sha256:[0-9a-f]{64}$/);
    expect(changed.events[0]).toMatchObject({ type: 'message.received', data: { message: { edited: true } } });
  });

  it('is the same delivery when it is sent again, and another one for each change and the deletion', () => {
    const at = (timestamp: string) => ({ timestamp });
    const activities = [
      message,
      { ...message, type: 'messageUpdate', ...at('2026-11-20T13:15:00Z') },
      { ...message, type: 'messageUpdate', ...at('2026-11-20T13:16:00Z') },
      { ...message, type: 'messageUpdate', text: 'no time' },
      { ...message, type: 'messageUpdate', text: 'no time either' },
      { ...message, type: 'messageDelete', ...at('2026-11-20T13:16:00Z') },
      { ...message, type: 'messageDelete' },
    ];
    const ids = activities.map(idOf);
    expect(new Set(ids).size).toBe(activities.length);
    expect(activities.map((one) => idOf(structuredClone(one)))).toEqual(ids);
    for (const id of ids) expect(id).not.toContain('undefined');
  });

  it('is another delivery in another conversation or channel, though the id is the same', () => {
    const places = [
      { channelId: 'msteams', conversation: { id: 'c' } },
      { channelId: 'msteams', conversation: { id: 'd' } },
      { channelId: 'directline', conversation: { id: 'c' } },
      // However they run together.
      { channelId: 'msteams', conversation: { id: 'c a1' }, id: 'a1' },
      { channelId: 'msteams', conversation: { id: 'c' }, id: 'a1 a1' },
      { channelId: 'msteams', conversation: { id: 'c%20a1' }, id: 'a1' },
      { channelId: undefined, conversation: { id: 'c' } },
      { channelId: 'c', conversation: undefined },
    ];
    expect(new Set(places.map((place) => idOf({ ...message, ...place }))).size).toBe(places.length);
  });

  it('without an id is a new delivery each time', () => {
    expect(idOf({ ...message, id: undefined })).toBeUndefined();
    expect(idOf({ ...message, type: 'messageDelete', id: undefined })).toBeUndefined();
  });

  it('tells who is mentioned and what is attached', () => {
    const { events } = read({
      ...activity,
      conversation: { id: 'c', name: 'Ops' },
      from: { id: 'u', name: 'Ada' },
      entities: [{ type: 'mention', mentioned: { id: 'b', name: 'bot' } }, { type: 'clientInfo' }],
      attachments: [{ contentType: 'image/png', contentUrl: 'https://x/y.png', name: 'y.png' }],
    });
    expect(events).toEqual([
      {
        type: 'message.received',
        subject: 'channel/c',
        timestamp: undefined,
        data: {
          channel: { id: 'c', name: 'Ops' },
          message: {
            id: 'a1',
            text: 'hi',
            mentions: [{ id: 'b', name: 'bot' }],
            attachments: [{ name: 'y.png', contentType: 'image/png', url: 'https://x/y.png' }],
          },
          author: { id: 'u', name: 'Ada' },
        },
      },
    ]);
  });
});
