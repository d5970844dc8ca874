import { type Static, Type } from '@sinclair/typebox';

import type { JsonObject } from '#libs/kernel/src/json.js';

import { nullable } from './fields.js';

const object = (description: string) => Type.Unsafe<JsonObject>({ type: 'object', description });

/** A sender that is known by name. */
export const PresetAnswer = Type.Object(
  {
    name: Type.String({ examples: ['stripe'] }),
    title: Type.String({ examples: ['Stripe'] }),
    docs: Type.String({ description: "The sender's own documentation." }),
    group: Type.String(),
    verify: object('How its requests are proved, as `config.verify` declares it.'),
    read: nullable(object('Where the name of the event, the id of the delivery and its time stand.')),
    handshake: nullable(object('How it checks the address.')),
    answer: nullable(object('What it is answered. null: 202 and the ids of the events.')),
    settings: object('JSON Schema of `config`.'),
    secret: Type.Object({
      needed: Type.Boolean(),
      from: Type.String({ description: 'Where it comes from.' }),
      form: nullable(Type.String({ description: 'What it looks like.' })),
    }),
    signsUrl: Type.Boolean({ description: 'The address is signed: set MILLRACE_PUBLIC_URL to what the sender calls.' }),
    unverified: Type.Boolean({ description: 'Not compared with the documentation of the sender yet.' }),
    help: Type.Array(Type.String(), { description: 'Steps on the screen of the sender; {url} is the address.' }),
  },
  { $id: 'PresetAnswer' },
);
export type PresetAnswer = Static<typeof PresetAnswer>;

export const ProviderAnswer = Type.Object(
  {
    name: Type.String({ examples: ['github'] }),
    description: Type.String(),
    config: object('JSON Schema of `config` of its integrations.'),
    presets: Type.Array(PresetAnswer),
  },
  { $id: 'ProviderAnswer' },
);
export type ProviderAnswer = Static<typeof ProviderAnswer>;

export const ProviderList = Type.Object({ data: Type.Array(ProviderAnswer) }, { $id: 'ProviderList' });
export type ProviderList = Static<typeof ProviderList>;
