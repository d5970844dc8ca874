import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { JsonObject } from '#libs/kernel/src/json.js';
import type { InboundRequest, Provider, ProviderContext } from '#libs/plugin-sdk/src/define-provider.js';
import { headersOf, type HttpFile, parseHttpFile } from '#libs/plugin-sdk/src/http-file.js';
import { mediaTypeOf } from '#libs/plugin-sdk/src/body/inbound-body.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';

export interface Saved {
  readonly name: string;
  readonly file: HttpFile;
}

/** One provider as it is set up somewhere, and what its sender sends. */
export interface Target {
  readonly name: string;
  readonly provider: Provider;
  readonly secret: string | undefined;
  readonly config: JsonObject;
  /** Whether a changed body has to be refused: not so for tokens. */
  readonly signsBody: boolean;
  /** Whether it gives what the sender calls data as it is, for the platform to judge. */
  readonly passesOn: boolean;
  readonly saved: readonly Saved[];
  /** The way out, for keys. */
  readonly http?: ProviderContext['http'];
}

const FOLDER = fileURLToPath(new URL('../../libs/providers/fixtures/', import.meta.url));

/** When the saved requests were signed. */
export const NOW = new Date('2026-11-20T13:14:15Z');

const SETUPS: readonly {
  readonly folder: string;
  readonly provider?: string;
  readonly secret?: string;
  readonly config?: JsonObject;
  readonly signsBody?: boolean;
  readonly passesOn?: boolean;
}[] = [
  { folder: 'github', secret: 'github-fixture-secret' },
  { folder: 'gitlab', secret: 'gitlab-fixture-token', signsBody: false },
  { folder: 'gitlab-signed', provider: 'gitlab', secret: 'whsec_Z2l0bGFiLWZpeHR1cmUtc2lnbmluZy1zZWNyZXQ=' },
  { folder: 'slack', secret: 'slack-fixture-signing-secret' },
  { folder: 'botframework', config: { appId: '00000000-0000-0000-0000-00000000b07a' }, signsBody: false },
  { folder: 'standard_webhooks', secret: 'whsec_c3RhbmRhcmQtd2ViaG9va3MtZml4dHVyZS1rZXk=', passesOn: true },
  {
    folder: 'standard_webhooks-v1a',
    provider: 'standard_webhooks',
    passesOn: true,
    config: { publicKey: 'whpk_6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=' },
  },
  { folder: 'cloudevents', secret: 'cloudevents-fixture-secret', passesOn: true },
  { folder: 'generic_webhook', secret: 'generic-fixture-secret' },
  {
    folder: 'generic_webhook-bearer',
    provider: 'generic_webhook',
    secret: 'generic-fixture-token',
    config: { bearer: true },
    signsBody: false,
  },
];

/** The keys of the fixtures, at any address. */
const keyServer: NonNullable<ProviderContext['http']> = {
  request({ url }) {
    const body = readFileSync(join(FOLDER, 'botframework', url.endsWith('/keys') ? 'keys.json' : 'openid.json'));
    return Promise.resolve({ kind: 'response', status: 200, headers: {}, body, truncated: false, latencyMs: 1 });
  },
};

/** Their requests have a set-up each: the specs of libs/providers/src/presets go through them. */
const OF_PRESETS: readonly string[] = ['neutral', 'senders', 'sns'];

/** A target for each folder of saved requests. @throws Error if a folder has nobody who knows its secret. */
export function targets(): readonly Target[] {
  const known = new Map(SETUPS.map((setup) => [setup.folder, setup]));
  const folders = readdirSync(FOLDER).filter((folder) => !OF_PRESETS.includes(folder));
  return folders.map((folder) => {
    const setup = known.get(folder);
    if (!setup) throw new Error(`test/fuzz/corpus.ts does not say how ${folder} is set up`);
    const { provider: name = folder, secret, config = {}, signsBody = true, passesOn = false } = setup;
    const provider = builtInProviders.providers!.find((one) => one.name === name)!;
    const saved = savedIn(join(FOLDER, folder));
    return { name: folder, provider, secret, config, signsBody, passesOn, saved, http: keyServer };
  });
}

const savedIn = (folder: string): readonly Saved[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.http'))
    .map((name) => ({ name, file: parseHttpFile(readFileSync(join(folder, name))) }));

/** A saved request as a provider sees it. */
export function requestOf(file: HttpFile): InboundRequest {
  const headers = headersOf(file);
  return {
    headers,
    rawBody: file.body,
    query: {},
    contentType: mediaTypeOf(headers['content-type']),
    sourceIp: '203.0.113.7',
  };
}
