import { afterAll, describe, expect, it } from '@jest/globals';

import { HttpEgress } from '#libs/egress/src/egress.adapter.js';
import { checkBody } from '#libs/events/src/shapes/check-body.js';
import { IntegrationChanges } from '#libs/events/src/shapes/integration-shape.js';
import type { JsonObject } from '#libs/kernel/src/json.js';
import type { Provider } from '#libs/plugin-sdk/src/define-provider.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';
import { botframework } from '#libs/providers/src/botframework/botframework.js';
import { genericWebhook } from '#libs/providers/src/generic-webhook.js';
import { github } from '#libs/providers/src/github/github.js';
import { slack } from '#libs/providers/src/slack/slack.js';
import { standardWebhooks } from '#libs/providers/src/standard-webhooks.js';

import { MemorySecrets } from '../../../access/testing/memory-secrets.js';
import { newSlug, settingsChange, withStoredSecrets } from './settings-change.js';
import { checkSettings, configProblems, MASK } from './settings-check.js';

const egress = new HttpEgress({ allowHttpTargets: false, allowPrivateTargets: [] });
afterAll(() => egress.close());

/** As a PATCH does it. */
const checkedSettings = (given: object, provider: Provider, current: JsonObject) => {
  const body = checkBody(IntegrationChanges, given, {
    prefix: 'integration',
    check: (some, problems) => checkSettings(some, provider, problems, undefined, (url) => egress.refusal(url)),
  });
  return settingsChange(body, provider, current);
};

/** Pointers of what is refused. */
const pointersOf = (given: object, provider: Provider = github): string[] => {
  try {
    checkedSettings(given, provider, {});
    return [];
  } catch (error) {
    return (error as { problems: { pointer: string }[] }).problems.map(({ pointer }) => pointer);
  }
};

describe('the personal fields of an integration', () => {
  it('are those that the provider lists, or a list of its own', () => {
    expect(pointersOf({ personal: true })).toEqual([]);
    expect(pointersOf({ personal: null })).toEqual([]);
    const personal = [{ subject: 'data.payload.user', fields: ['data.payload.text', 'data.payload.cc[*].email'] }];
    expect(checkedSettings({ personal }, genericWebhook, {}).changes).toEqual({ personal });
    expect(pointersOf({ personal: true }, genericWebhook)).toEqual(['/personal']);
  });

  it('are refused with the place where they cannot be found', () => {
    const personal = [
      { subject: 'data.payload.user', fields: ['data.payload.text', 'payload.cc'] },
      { subject: 'data.payload.[', fields: ['data.x'] },
    ];
    expect(pointersOf({ personal })).toEqual(['/personal/0/fields/1', '/personal/1/subject']);
    expect(pointersOf({ personal: false })).toEqual(['/personal']);
    expect(pointersOf({ personal: [] })).toEqual(['/personal']);
  });
});

describe('the config of an integration', () => {
  it.each([
    [github, 'apiUrl'],
    [slack, 'apiUrl'],
    [botframework, 'openIdMetadataUrl'],
    [botframework, 'issuer'],
  ])('has no URL that may not be called: %#', (provider, key) => {
    const bot = provider === botframework ? { appId: 'app' } : {};
    const refused = (url: string) => pointersOf({ config: { ...bot, [key]: url } }, provider);
    for (const url of [
      'http://example.com/',
      'https://127.0.0.1/',
      'https://169.254.169.254/',
      'https://u:p@example.com/',
    ])
      expect(refused(url)).toEqual([`/config/${key}`]);
    expect(refused('https://example.com/v3')).toEqual([]);
  });

  it.each([
    [github, {}, []],
    [github, { apiUrl: 'https://github.example.com/api/v3', token: 't', hookId: 7, repository: 'acme/app' }, []],
    [
      github,
      { apiUrl: 'no url', token: '', hookId: 1.5, repository: 'app' },
      ['apiUrl', 'token', 'hookId', 'repository'],
    ],
    [github, { tokn: 't', 'a/b': 1 }, ['tokn', 'a~1b']],
    [github, { token: { $secret: "somebody else's" } }, ['token']],
    [genericWebhook, { bearer: true }, []],
    [genericWebhook, { bearer: 'yes', token: 't' }, ['token', 'bearer']],
  ])('of $name: %j is refused at %j', (provider, config, places) => {
    expect(configProblems(provider, config).map(({ pointer }) => pointer)).toEqual(
      places.map((place) => `/config/${place}`),
    );
  });

  it('has the keys of its provider that are written down, and no others', () => {
    const keys = builtInProviders.providers!.map(({ name, config }) => [
      name,
      Object.keys(config?.properties ?? {}).sort(),
      config?.required ?? [],
    ]);
    const bearer = [['bearer'], []];
    expect(Object.fromEntries(keys.map(([name, ...rest]) => [name, rest]))).toEqual({
      github: [['apiUrl', 'hookId', 'repository', 'token'], []],
      gitlab: [['apiUrl', 'project', 'token'], []],
      slack: [['apiUrl', 'botToken'], []],
      botframework: [['appId', 'appPassword', 'issuer', 'openIdMetadataUrl', 'tokenUrl'], ['appId']],
      generic_webhook: [['answer', 'bearer', 'handshake', 'read', 'verify'], []],
      cloudevents: bearer,
      standard_webhooks: [['publicKey'], []],
      mcp_server: [[], []],
    });
    for (const provider of builtInProviders.providers!)
      expect([provider.name, pointersOf({ config: { surprise: 1 } }, provider)]).toEqual([
        provider.name,
        expect.arrayContaining(['/config/surprise']),
      ]);
  });

  it('may have keys that it needs, and none that reads a secret of somebody else', () => {
    const provider: Provider = {
      ...genericWebhook,
      config: { properties: { appId: { type: 'string' }, more: { type: 'object' } }, required: ['appId'] },
    };
    expect(configProblems(provider, {})).toMatchObject([{ pointer: '/config/appId', detail: '"appId" is required.' }]);
    expect(configProblems(provider, { appId: 'x', more: { $secret: 'ref' } })).toHaveLength(1);
  });

  it('keeps secret values in the store, and leaves their references', async () => {
    const secrets = new MemorySecrets();
    const place = { orgId: 'org_1', integrationId: 'int_1', name: '1' };
    const stored = await withStoredSecrets({ token: 'ghp_x', hookId: 7 }, github, secrets, place);
    expect(stored).toEqual({ token: { $secret: 'int_1/config/token/1' }, hookId: 7 });
    expect([...secrets.kept]).toEqual([['int_1/config/token/1', 'ghp_x']]);
  });

  it('keeps a secret that comes back masked, where there is one', () => {
    const current = { token: { $secret: 'ref/1' } };
    expect(checkedSettings({ config: { token: MASK } }, github, current).changes.config).toEqual(current);
    expect(checkedSettings({ config: { token: MASK } }, github, {}).changes.config).toEqual({ token: MASK });
  });

  const evil = 'https://evil.example';
  const [ours, token] = ['https://github.example.com/api/v3', { $secret: 'ref/1' }];
  it.each<[string, Provider, JsonObject, JsonObject, string]>([
    ['added', github, { token }, { apiUrl: evil, token: MASK }, 'token'],
    ['changed', github, { apiUrl: ours, token }, { apiUrl: evil, token: MASK, hookId: 7 }, 'token'],
    ['taken away', github, { apiUrl: ours, token }, { token: MASK }, 'token'],
    ['added to another provider', slack, { botToken: token }, { apiUrl: evil, botToken: MASK }, 'botToken'],
  ])('has no stored secret sent to an address that is %s', (_, provider, current, config, key) => {
    const problems = [expect.objectContaining({ pointer: `/config/${key}` })];
    expect(() => checkedSettings({ config }, provider, current)).toThrow(
      expect.objectContaining({ code: 'integration.secret_needed', problems }),
    );
    // Whoever knows the secret may send it where they like.
    const known = { ...config, [key]: 'known' };
    expect(checkedSettings({ config: known }, provider, current).changes.config).toEqual(known);
  });

  it('has no stored secret sent to an address that stands deep within a value', () => {
    const at = { anyOf: [{ type: 'object', properties: { host: { type: 'string', format: 'hostname' } } }] };
    const properties = { at, key: { type: 'string' } };
    const provider: Provider = { ...genericWebhook, config: { properties, secrets: ['key'] } };
    const current = { at: { host: 'a.example', port: 1 }, key: token };
    const kept = { at: { port: 1, host: 'a.example' }, key: MASK };
    expect(checkedSettings({ config: kept }, provider, current).changes.config).toMatchObject({ key: token });
    expect(() => checkedSettings({ config: { ...kept, at: { host: 'b.example' } } }, provider, current)).toThrow(
      /Send the secret again/,
    );
  });

  it('goes on with its stored secret where addresses are as they were', () => {
    const current = { apiUrl: ours, token };
    const { changes } = checkedSettings({ config: { apiUrl: ours, token: MASK, hookId: 7 } }, github, current);
    expect(changes.config).toEqual({ ...current, hookId: 7 });
    expect(checkedSettings({ config: { apiUrl: evil } }, github, current).changes.config).toEqual({ apiUrl: evil });
  });
});

describe('the secret of an integration', () => {
  const refusal = (secret: string, provider: Provider): string => {
    try {
      checkedSettings({ secret }, provider, {});
      return '';
    } catch (error) {
      return JSON.stringify((error as { problems: object[] }).problems);
    }
  };

  it.each([
    ['whsec_c3RhbmRhcmQtd2ViaG9va3M=', /^$/],
    ['whsec_==', /"\/secret".*whsec_ and base64/],
    ['whsec_no*base64', /whsec_ and base64/],
    ['c3RhbmRhcmQtd2ViaG9va3M=', /whsec_ and base64/],
    ['whpk_c3RhbmRhcmQtd2ViaG9va3M=', /config[.]publicKey/],
  ])('of standard_webhooks %s is answered %s', (secret, answer) => {
    expect(refusal(secret, standardWebhooks)).toMatch(answer);
    expect(refusal(secret, standardWebhooks)).not.toContain(secret.slice(6));
  });

  it('is whatever it is where its provider does not say', () => {
    expect(refusal('anything', github)).toBe('');
  });

  it.each<[string, (secret: string) => unknown]>([
    ['says it', (secret) => `${secret} is not one of mine`],
    [
      'throws with it',
      (secret) => {
        throw new Error(secret);
      },
    ],
    ['gives no text', (secret) => [secret]],
  ])('does not come back from a provider that %s', (_, checkSecret) => {
    const provider = { ...github, checkSecret } as Provider;
    expect(refusal('hunter2-hunter2', provider)).toMatch(/^\[\{"pointer":"\/secret","detail":"Must be a secret/);
    expect(refusal('hunter2-hunter2', provider)).not.toContain('hunter2');
  });
});

describe('the settings of an integration', () => {
  it.each<[object, string[]]>([
    [{ allowedSources: ['10.0.0.0/8', '::1'] }, []],
    [{ allowedSources: [] }, ['/allowedSources']],
    [{ allowedSources: ['10.0.0.1', 'example.com', '1'] }, ['/allowedSources/1', '/allowedSources/2']],
    [{ allowedSources: Array.from({ length: 101 }, () => '::1') }, ['/allowedSources']],
    [{ dedupeKey: 'alert.id' }, []],
    [{ dedupeKey: "alert.id == 'open" }, ['/dedupeKey']],
    [{ rateLimit: 'many' }, ['/rateLimit']],
    [{ rateLimit: 0 }, ['/rateLimit']],
    [{ rateLimit: 1_000_001 }, ['/rateLimit']],
    [{ rateLimit: [1] }, ['/rateLimit']],
    [{ rateLimit: { limit: 1.5, per: '1x' } }, ['/rateLimit/limit']],
    [{ rateLimit: { limit: 1, per: '1x' } }, ['/rateLimit/per']],
    [{ rateLimit: { limit: 1, per: '10ms' } }, ['/rateLimit/per']],
    [{ rateLimit: { limit: 1, per: '2d' } }, ['/rateLimit/per']],
    [{ rateLimit: { limit: 1, burst: 2 } }, ['/rateLimit/burst']],
  ])('%j are refused at %j', (given, pointers) => {
    expect(pointersOf(given)).toEqual(pointers);
  });

  it.each(['1h', '1s', '90d', '15m', '36h'])('may expect something every %s', (expectedEvery) => {
    expect(checkedSettings({ expectedEvery }, github, {}).changes).toEqual({ expectedEvery });
  });

  it.each(['0s', '500ms', '91d', 'hourly', '1', '-1h'])('cannot expect something every %s', (expectedEvery) => {
    expect(pointersOf({ expectedEvery })).toEqual(['/expectedEvery']);
  });

  it('are all checked at once, so that nobody has to try again and again', () => {
    expect(pointersOf({ allowedSources: ['x'], dedupeKey: '[', rateLimit: 0, config: { x: 1 } })).toEqual([
      '/rateLimit',
      '/allowedSources/0',
      '/dedupeKey',
      '/config/x',
    ]);
  });

  it('are taken away by null, and left alone where nothing is said', () => {
    expect(checkedSettings({ rateLimit: null, dedupeKey: null, name: 'x' }, github, {})).toEqual({
      changes: { name: 'x' },
      removed: ['dedupeKey', 'rateLimit'],
    });
  });

  it.each([
    [100, { limit: 100, perMs: 60_000 }],
    [{ limit: 5 }, { limit: 5, perMs: 60_000 }],
    [
      { limit: 5, per: '10s' },
      { limit: 5, perMs: 10_000 },
    ],
  ])('have the rate limit %j as %j', (rateLimit, expected) => {
    expect(checkedSettings({ rateLimit }, github, {}).changes).toEqual({ rateLimit: expected });
  });

  it('have a slug with 192 random bits', () => {
    const slugs = Array.from({ length: 100 }, newSlug);
    expect(new Set(slugs).size).toBe(100);
    for (const slug of slugs) expect(slug).toMatch(/^wh_[A-Za-z0-9_-]{32}$/);
  });
});
