import type { Json, JsonObject } from '#libs/kernel/src/json.js';

import type { Declaration } from './scheme-shape.js';

/** One sender, as data: how its requests are proved, what is read from them, and what to do on the sender's own screens. */
export interface Preset {
  /** What integrations name: lower case, digits and `-`. Never changes. */
  readonly name: string;
  /** As people write it: `Stripe`. */
  readonly title: string;
  /** Address of the sender's own documentation. */
  readonly docs: string;
  readonly group: 'code' | 'planning' | 'monitoring' | 'payments' | 'messaging' | 'business' | 'cloud';
  /** What an integration has to say beside its secret: JSON Schema of each key of `config`. */
  readonly settings?: {
    readonly properties: Readonly<Record<string, JsonObject>>;
    readonly required?: readonly string[];
    /** Keys whose values are kept encrypted and never shown again. */
    readonly secrets?: readonly string[];
  };
  /** The declaration, with the settings filled in. */
  declare(settings: Readonly<Record<string, Json | undefined>>): Declaration;
  /** The secret: whether one is needed, where it comes from, and what it looks like. */
  readonly secret: {
    readonly needed: boolean;
    readonly from: string;
    readonly form?: string;
  };
  /** The address is part of what is signed: the server must know it as the sender does. */
  readonly signsUrl?: boolean;
  /** Written from memory: compare the first request with the sender's page. */
  readonly unverified?: boolean;
  /** The time is signed and checked, so integrations may set `tolerance`. */
  readonly timed?: boolean;
  /** Steps on the sender's own screen. `{url}` stands for the address of the integration. */
  readonly help: readonly string[];
  /** What of its events means the same as ours, one or several; nothing for the others, which are `webhook.received`. */
  neutral?(given: NeutralInput): NeutralEvent | readonly NeutralEvent[] | undefined;
}

export interface NeutralInput {
  /** The body, or one element of it. */
  readonly value: Json;
  /** The sender's own name of the event. */
  readonly eventType: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
}

/** An event in the words of the platform: as a provider gives it. */
export interface NeutralEvent {
  readonly type: string;
  readonly subject: string;
  readonly timestamp?: string | number | undefined;
  readonly action?: string | undefined;
  readonly data: JsonObject;
}

/** Types a preset; returns it unchanged. */
export const definePreset = (preset: Preset): Preset => preset;
