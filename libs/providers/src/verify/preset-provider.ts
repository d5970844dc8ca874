import type { Provider } from '#libs/plugin-sdk/src/define-provider.js';
import type { JsonObject } from '#libs/plugin-sdk/src/fields.js';
import type { Preset } from '#libs/plugin-sdk/src/scheme/define-preset.js';
import type { Declaration, TimestampShape } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';

import type { KeyParts } from './proofs/compile-scheme.js';
import { checkDuration } from './check-declaration.js';
import { declaredProvider, headersRead } from './declared-provider.js';

const TOLERANCE: JsonObject = {
  type: 'string',
  expected: 'a duration from 30s to 1h',
  description: 'The allowed difference between the signed time and now.',
};

/** The keys of `config` with a preset: its own settings, and how old a request may be where that is signed. */
export function presetSettings({ settings, timed }: Preset) {
  return {
    properties: { ...settings?.properties, ...(timed === true && { tolerance: TOLERANCE }) },
    required: settings?.required ?? [],
    secrets: settings?.secrets ?? [],
  };
}

/** What a preset says of its sender, with the settings of an integration. */
export function declarationOf(preset: Preset, config: JsonObject): Declaration {
  const declaration = preset.declare(config);
  const { verify } = declaration;
  const { tolerance } = config;
  if (preset.timed !== true || typeof tolerance !== 'string') return declaration;
  if (verify.kind !== 'hmac' && verify.kind !== 'ed25519' && verify.kind !== 'ecdsa') return declaration;
  const isTimed = verify.timestamp !== undefined || ('list' in verify && verify.list?.timestamp !== undefined);
  if (!isTimed) return declaration;
  const timestamp: TimestampShape = { ...verify.timestamp, tolerance };
  return { ...declaration, verify: { ...verify, timestamp } };
}

/** A provider that understands the sender of a preset. */
export function presetProvider(otherwise: Provider, preset: Preset, parts: KeyParts): Provider {
  const declared = declaredProvider({
    ...parts,
    otherwise: { ...otherwise, description: `${preset.title}: ${otherwise.description}` },
    config: presetSettings(preset),
    declarationOf: (config) => declarationOf(preset, config),
    source: preset.name,
    keepHeaders: ['user-agent', 'content-type', 'idempotency-key', ...headersRead(preset.declare({}))].filter(
      (name, index, all) => all.indexOf(name) === index,
    ),
    ...(preset.neutral && { neutral: (given) => preset.neutral!(given) }),
  });
  return {
    ...declared,
    checkIntegration(config, hasSecret) {
      const { properties } = presetSettings(preset);
      const found: { pointer: string; detail: string }[] = [];
      if (typeof config['tolerance'] === 'string')
        checkDuration(config['tolerance'], '/config/tolerance', (pointer, detail) => found.push({ pointer, detail }));
      for (const { pointer, detail } of declared.checkIntegration!(config, hasSecret)) {
        // People fill in a setting, not the declaration that it becomes a part of.
        const key = pointer.slice(pointer.lastIndexOf('/') + 1);
        if (key !== 'tolerance') found.push({ pointer: key in properties ? `/config/${key}` : pointer, detail });
      }
      return found;
    },
  };
}
