import { withPlainSecrets } from '#libs/access/src/secrets/config-secrets.js';
import type { Secrets } from '#libs/access/src/secrets/secrets.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { SliceTable } from '#libs/event-store/src/slice-table.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import type { PersonalFields } from '#libs/events/src/personal/personal-shape.js';
import type { JsonObject } from '#libs/kernel/src/json.js';

import { providerKey } from '#libs/plugin-sdk/src/loading/plugins.js';

import { AddressList } from './addresses.js';
import { DedupeKey } from './dedupe-key.js';
import { type Integration, integration, secretReferences } from './integration.js';
import type { RateLimit } from './rate-limiter.js';

/** An integration ready to receive: secrets in plain text, lists parsed, expressions compiled. */
export interface Receiver {
  readonly id: string;
  readonly orgId: string;
  readonly provider: string;
  readonly preset: string | undefined;
  /** Under which the code that understands it is found: its provider, or that of its preset. */
  readonly understoodBy: string;
  readonly slug: string;
  /** The workflow that it belongs to. */
  readonly workflowId?: string | undefined;
  readonly name: string;
  readonly customPath: string | undefined;
  readonly allowed: AddressList | undefined;
  readonly rateLimit: RateLimit | undefined;
  readonly dedupeKey: DedupeKey | undefined;
  /** What is personal in its events; `true`: what the provider lists. */
  readonly personal?: true | PersonalFields | undefined;
  /** Secret values in plain text. */
  readonly config: JsonObject;
  /** Of an agent: how many executions may run and begin. Takes the place of `rateLimit` for genuine requests. */
  readonly places?: {
    take(
      executionIds: readonly string[],
      now: number,
    ): ((executionIds: readonly string[]) => void) | { readonly retryAfterMs: number | undefined };
  };
  /** Something of a handshake is shown: the first event ends it. */
  readonly inHandshake: boolean;
  /** Until when a secret that the sender gives away replaces the one that is there, in milliseconds since 1970. */
  readonly adoptsUntil?: number | undefined;
  /** The newest first. */
  readonly secrets: readonly string[];
  readonly previous: readonly { readonly secret: string; readonly validUntil: number }[];
}

/** All integrations, in memory: no request asks the database. Disabled ones are not received at. */
export class IntegrationTable implements Table {
  readonly name = followers.integrations;
  private readonly states = new SliceTable(this.name, integration);
  readonly reads = this.states.reads;
  incomplete = false;

  private readonly byId = new Map<string, Receiver>();
  private readonly bySlug = new Map<string, Receiver>();
  private readonly byPath = new Map<string, Receiver>();

  constructor(private readonly secrets: Secrets) {}

  clear(): void {
    for (const map of [this.states, this.byId, this.bySlug, this.byPath]) map.clear();
  }

  async apply(event: RecordedEvent): Promise<void> {
    const change = this.states.after(event);
    if (!change) return;
    // Before anything changes: if the secrets cannot be read, the event is applied again.
    const receiver = await this.receiverOf(change.id, change.state);
    this.states.put(change);
    this.forget(change.id);
    if (receiver) this.admit(receiver);
  }

  /** What is received at `/webhooks/inbound/{slug}`. */
  withSlug(slug: string): Receiver | undefined {
    return this.bySlug.get(slug);
  }

  withId(id: string): Receiver | undefined {
    return this.byId.get(id);
  }

  withPath(customPath: string): Receiver | undefined {
    return this.byPath.get(customPath);
  }

  /** Its state, also while it is disabled; `undefined` if it is another organisation's. */
  get(orgId: string, id: string): Integration | undefined {
    const state = this.states.get(id);
    return state && state.kind !== 'unknown' && state.orgId === orgId ? state : undefined;
  }

  /** As it would receive if it were enabled: for trying requests out. */
  receiver(orgId: string, id: string): Promise<Receiver | undefined> {
    const state = this.get(orgId, id);
    return state?.kind === 'disabled'
      ? this.receiverOf(id, { ...state, kind: 'active' })
      : Promise.resolve(this.byId.get(id));
  }

  /** Who has this path, in whichever organisation: paths are one namespace. */
  ownerOfPath(customPath: string): string | undefined {
    for (const [id, state] of this.states.entries())
      if ('settings' in state && state.settings.customPath === customPath) return id;
    return undefined;
  }

  private admit(receiver: Receiver): void {
    this.byId.set(receiver.id, receiver);
    this.bySlug.set(receiver.slug, receiver);
    // Earlier versions could give one path to two: the first has it.
    if (receiver.customPath !== undefined && !this.byPath.has(receiver.customPath))
      this.byPath.set(receiver.customPath, receiver);
  }

  private forget(id: string): void {
    const known = this.byId.get(id);
    if (!known) return;
    this.byId.delete(id);
    this.bySlug.delete(known.slug);
    if (known.customPath !== undefined && this.byPath.get(known.customPath) === known)
      this.byPath.delete(known.customPath);
  }

  private async receiverOf(id: string, state: Integration): Promise<Receiver | undefined> {
    if (state.kind !== 'active') return undefined;
    const { settings, previous } = state;
    const plain = await this.secrets.get(secretReferences(state));
    const newest = state.secret === undefined ? undefined : plain.get(state.secret);
    // A secret that is configured and gone must not turn into "none configured": nothing matches it.
    const secrets = state.secret === undefined ? [] : newest === undefined ? undefined : [newest];
    if (!secrets) return undefined;
    return {
      id,
      orgId: state.orgId,
      provider: state.provider,
      preset: state.preset,
      understoodBy: providerKey(state.provider, state.preset),
      adoptsUntil: state.handshake?.openUntil === undefined ? undefined : Date.parse(state.handshake.openUntil),
      inHandshake: state.handshake?.shown === true || state.handshake?.confirmUrl !== undefined,
      slug: state.slug,
      workflowId: state.workflowId,
      name: settings.name,
      customPath: settings.customPath,
      allowed: settings.allowedSources && new AddressList(settings.allowedSources),
      rateLimit: settings.rateLimit,
      dedupeKey: settings.dedupeKey === undefined ? undefined : new DedupeKey(settings.dedupeKey),
      personal: settings.personal,
      config: withPlainSecrets(settings.config, plain),
      secrets,
      previous: previous.flatMap(({ secret, validUntil }) => {
        const text = plain.get(secret);
        return text === undefined ? [] : [{ secret: text, validUntil: Date.parse(validUntil) }];
      }),
    };
  }
}

/** Secrets that are valid now, the newest first. */
export const validSecrets = ({ secrets, previous }: Receiver, now: number): readonly string[] =>
  previous.length === 0
    ? secrets
    : [...secrets, ...previous.filter(({ validUntil }) => validUntil > now).map(({ secret }) => secret)];
