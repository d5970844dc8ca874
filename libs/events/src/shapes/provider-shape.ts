import { type Static, Type } from '@sinclair/typebox';

import type { JsonObject } from '#libs/kernel/src/json.js';

import { nullable } from './fields.js';
import { PersonalFields } from '../personal/personal-shape.js';

const object = (description: string) => Type.Unsafe<JsonObject>({ type: 'object', description });

/** A sender that is known by name. */
export const PresetAnswer = Type.Object(
  {
    name: Type.String({ examples: ['stripe'] }),
    title: Type.String({ examples: ['Stripe'] }),
    docs: Type.String({ description: "The sender's own documentation." }),
    group: Type.String(),
    verify: object('How its requests are verified, as in `config.verify`.'),
    read: nullable(object('Where to find the event name, the delivery id and the time.')),
    handshake: nullable(object('How it verifies the address.')),
    answer: nullable(object('The answer to the sender. null: 202 and the ids of the events.')),
    settings: object('JSON Schema of `config`.'),
    secret: Type.Object({
      needed: Type.Boolean(),
      from: Type.String({ description: 'Origin of the secret.' }),
      form: nullable(Type.String({ description: 'Format of the secret.' })),
    }),
    signsUrl: Type.Boolean({
      description: 'The signature covers the address: set MILLRACE_PUBLIC_URL to the address that the sender calls.',
    }),
    unverified: Type.Boolean({ description: "Not yet verified against the sender's documentation." }),
    help: Type.Array(Type.String(), { description: "Steps in the sender's settings; {url} is the address." }),
  },
  { $id: 'PresetAnswer' },
);
export type PresetAnswer = Static<typeof PresetAnswer>;

export const ProviderAnswer = Type.Object(
  {
    name: Type.String({ examples: ['github'] }),
    description: Type.String(),
    config: object('JSON Schema of `config` of its integrations.'),
    personal: nullable(PersonalFields),
    presets: Type.Array(PresetAnswer),
  },
  { $id: 'ProviderAnswer' },
);
export type ProviderAnswer = Static<typeof ProviderAnswer>;

export const ProviderList = Type.Object({ data: Type.Array(ProviderAnswer) }, { $id: 'ProviderList' });
export type ProviderList = Static<typeof ProviderList>;
