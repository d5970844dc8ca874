import { readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { mediaTypeOf, parseBody } from '#libs/plugin-sdk/src/body/inbound-body.js';
import type { InboundRequest, Provider, ProviderContext, Verdict } from '#libs/plugin-sdk/src/define-provider.js';
import type { Json, JsonObject } from '#libs/plugin-sdk/src/fields.js';
import { parseHttpFile } from '#libs/plugin-sdk/src/http-file.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

import { PUBLIC_URL, type SenderSample, senderSamples, SIGNED_AT } from '../../testing/sender-samples.js';
import { builtInProviders } from '../built-in.js';
import { builtInPresets } from './built-in-presets.js';
import { genericWebhook } from '../generic-webhook.js';

const providers = new Map(builtInPresets.map((preset) => [preset.name, genericWebhook.withPreset!(preset)]));
const presetNamed = (name: string) => builtInPresets.find((preset) => preset.name === name)!;
const samples = Object.entries(senderSamples);

function requestOf(name: string): InboundRequest {
  const file = parseHttpFile(readFileSync(new URL(`../../fixtures/senders/${name}.http`, import.meta.url)));
  const headers = Object.fromEntries(file.headers);
  return {
    headers,
    rawBody: file.body,
    query: {},
    contentType: mediaTypeOf(headers['content-type']),
    sourceIp: '203.0.113.7',
    method: file.method,
    target: file.target.replace('{slug}', 'wh_sample'),
  };
}

const contextOf = (
  { key, isPrivateKey, settings = {} }: SenderSample,
  rest: Partial<ProviderContext> = {},
): ProviderContext => ({
  secrets: isPrivateKey ? [] : [key],
  config: settings,
  now: SIGNED_AT,
  publicUrl: PUBLIC_URL,
  ...rest,
});

const verdictOf = async (provider: Provider, request: InboundRequest, context: ProviderContext): Promise<Verdict> =>
  provider.verify(request, context);

describe.each(samples)('a request of %s', (name, sample) => {
  const provider = providers.get(name)!;
  const request = requestOf(name);
  const elements = () => {
    const parsed = parseBody(request, provider.anyBody);
    const { value } = (parsed as { values: readonly { value: Json }[] }).values[0]!;
    return provider.elements!(value, contextOf(sample)) ?? [value];
  };

  it('is genuine', async () => {
    expect(await verdictOf(provider, request, contextOf(sample))).toMatchObject({ ok: true });
  });

  it('has the name and the id that the sender gives', () => {
    const made = elements().map((value, index) =>
      provider.normalise({ value, kind: 'json', request, index }, contextOf(sample)),
    );
    const [first] = made as { eventType: string; deliveryId?: string; source?: string }[];
    expect(first).toMatchObject({ source: name, ...(sample.eventType !== '' && { eventType: sample.eventType }) });
    if (sample.deliveryId !== undefined) expect(first!.deliveryId).toBe(sample.deliveryId);
  });

  it('is refused with another secret, and without one', async () => {
    const other = { ...sample, key: presetNamed(name).secret.form === 'base64' ? 'b3RoZXI=' : `${sample.key}0` };
    if (sample.isPrivateKey) return;
    for (const secrets of [[other.key], [], ['']])
      expect(await verdictOf(provider, request, contextOf(sample, { secrets }))).toMatchObject({ ok: false });
  });
});

/** Schemes that prove who sends, and not what. */
const NOT_COVERING = new Set([
  'azure-devops',
  'docker-hub',
  'alertmanager',
  'postmark',
  'figma',
  'mailgun',
  'adyen',
  'microsoft-graph',
  'telegram',
  'monday',
  'okta',
  'pubsub',
]);
/** Signed with keys that only the sender has. */
const NOT_SIGNABLE = new Set(['aws-sns', 'pubsub']);

const secretFor = (name: string): string => {
  if (senderSamples[name]) return senderSamples[name].key;
  return ['clerk', 'resend', 'openai'].includes(name) ? 'whsec_c2VjcmV0LW9mLWEtc2FtcGxl' : `sample-secret-of-${name}`;
};
const settingsFor = (name: string): JsonObject => ({ ...senderSamples[name]?.settings });
const BODIES: Readonly<Record<string, Json>> = {
  asana: { events: [{ action: 'changed', resource: { resource_type: 'task' } }] },
  line: { events: [{ type: 'message', webhookEventId: '1' }] },
  figma: { event_type: 'FILE_UPDATE', passcode: '' },
  'microsoft-graph': { value: [{ clientState: '', changeType: 'updated', id: '1' }] },
};

const TYPED: InboundRequest['headers'] = { 'content-type': 'application/json' };

/** A request that the preset's own signer has made. */
async function signed(
  name: string,
): Promise<{ provider: Provider; request: InboundRequest; context: ProviderContext }> {
  const provider = providers.get(name)!;
  const raw = senderSamples[name]
    ? requestOf(name)
    : {
        headers: TYPED,
        rawBody: Buffer.from(JSON.stringify(BODIES[name] ?? { type: 'a', id: '1', note: 'a "b" c' }, null, 1)),
        query: {},
        contentType: 'application/json',
        sourceIp: '',
        method: 'POST',
        target: '/api/v1/webhooks/inbound/wh_sample?a=1%20',
      };
  const isKey = senderSamples[name]?.isPrivateKey === true;
  const context = { secrets: [secretFor(name)], config: settingsFor(name), now: SIGNED_AT, publicUrl: PUBLIC_URL };
  const change = (await provider.signRequest!(raw, context))!;
  const request = {
    ...raw,
    headers: { ...raw.headers, ...change.headers },
    rawBody: change.rawBody ?? raw.rawBody,
    target: change.target ?? raw.target!,
  };
  return { provider, request, context: { ...context, secrets: isKey ? [] : context.secrets } };
}

const signable = builtInPresets.map(({ name }) => name).filter((name) => !NOT_SIGNABLE.has(name));

describe.each(signable)('what is signed for %s', (name) => {
  it('is genuine', async () => {
    const { provider, request, context } = await signed(name);
    expect(await verdictOf(provider, request, context)).toMatchObject({ ok: true });
  });

  it('is refused once any byte of the body is another, or missing', async () => {
    if (NOT_COVERING.has(name)) return;
    const { provider, request, context } = await signed(name);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(request.rawBody.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        async (at, by, cut) => {
          const rawBody = cut ? request.rawBody.subarray(0, at) : Buffer.from(request.rawBody);
          if (!cut) rawBody[at] = rawBody[at]! ^ by;
          const verdict = await verdictOf(provider, { ...request, rawBody }, context);
          // A form may write the same fields in other bytes.
          if (name === 'twilio' && verdict.ok)
            expect(new URLSearchParams(rawBody.toString()).toString()).toBe(
              new URLSearchParams(request.rawBody.toString()).toString(),
            );
          else expect(verdict.ok).toBe(false);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('is refused when it is written anew', async () => {
    if (NOT_COVERING.has(name) || name === 'twilio') return;
    const { provider, request, context } = await signed(name);
    for (const text of [
      JSON.stringify(JSON.parse(request.rawBody.toString())) + ' ',
      `\ufeff${request.rawBody.toString()}`,
    ])
      expect(await verdictOf(provider, { ...request, rawBody: Buffer.from(text) }, context)).toMatchObject({
        ok: false,
      });
  });

  it('is refused once any byte of its proof is another', async () => {
    const { provider, request, context } = await signed(name);
    const before: InboundRequest['headers'] = senderSamples[name] ? requestOf(name).headers : TYPED;
    const proofs = Object.keys(request.headers).filter((header) => request.headers[header] !== before[header]);
    for (const header of proofs) {
      const value = request.headers[header]!;
      await fc.assert(
        fc.asyncProperty(fc.nat(value.length - 1), fc.constantFrom('0', 'A', '-', ''), async (at, by) => {
          const changed = value.slice(0, at) + by + value.slice(at + 1);
          const verdict = await verdictOf(
            provider,
            { ...request, headers: { ...request.headers, [header]: changed } },
            context,
          );
          if (verdict.ok) expect(canonical(changed)).toBe(canonical(value));
        }),
        { numRuns: 20 },
      );
      expect(
        await verdictOf(provider, { ...request, headers: { ...request.headers, [header]: undefined } }, context),
      ).toMatchObject({
        ok: false,
      });
    }
  });

  it('is refused later and earlier than its time allows', async () => {
    const preset = presetNamed(name);
    if (preset.timed !== true) return;
    const { provider, request, context } = await signed(name);
    for (const ms of [-400_000, 400_000])
      expect(await verdictOf(provider, request, { ...context, now: new Date(SIGNED_AT.getTime() + ms) })).toMatchObject(
        { ok: false, reason: 'stale' },
      );
    const patient = {
      ...context,
      config: { ...context.config, tolerance: '1h' },
      now: new Date(SIGNED_AT.getTime() + 400_000),
    };
    expect(await verdictOf(provider, request, patient)).toMatchObject({ ok: true });
  });

  it('proves nothing with an empty key', async () => {
    const { provider, request, context } = await signed(name);
    const declaration = provider.described!(context.config)!;
    if (['ed25519', 'ecdsa'].includes(declaration['kind'] as string)) return;
    for (const secrets of [[], [''], ['whsec_']])
      expect(await verdictOf(provider, request, { ...context, secrets })).toMatchObject({ ok: false });
    expect(provider.checkSecret?.('whsec_', context.config) ?? '').not.toBe(
      declaration['key'] === 'base64' && declaration['keyPrefix'] !== undefined ? '' : undefined,
    );
  });
});

/** Hex may be in either case, prefixes too; blanks and the padding of base64 do not count. */
function canonical(text: string): string {
  const bare = text.replaceAll(/[= ]/g, '');
  return /[0-9a-fA-F]{40}$/.test(bare) ? bare.toLowerCase() : bare.replace(/^[a-z]+/i, (word) => word.toLowerCase());
}

describe('every preset', () => {
  it('is one of fifty-five', () => {
    expect(builtInPresets).toHaveLength(55);
    expect(new Set(builtInPresets.map(({ name }) => name)).size).toBe(55);
  });

  it.each(builtInPresets)('$name declares what works', (preset) => {
    const provider = providers.get(preset.name)!;
    const config: JsonObject = {
      ...settingsFor(preset.name),
      ...(preset.name === 'aws-sns' && { topicArn: 'arn:aws:sns:eu-west-1:123456789012:alerts' }),
      ...(preset.name === 'pubsub' && { audience: 'a', email: 'a@b.example' }),
    };
    expect(provider.checkIntegration!(config, undefined)).toEqual([]);
    expect(preset.help.join(' ')).toContain('{url}');
    expect(preset.docs).toMatch(/^https:\/\//);
  });
});

it('every provider and preset is a known source of events', () => {
  const { sources } = new Plugins([builtInProviders]);
  expect(sources).toEqual(
    expect.arrayContaining(['github', 'generic_webhook', ...builtInPresets.map(({ name }) => name)]),
  );
});
