import { referencesIn } from '#libs/access/src/secrets/config-secrets.js';
import { afterRotation, type PreviousSecret } from '#libs/access/src/secrets/secret-rotation.js';
import { type Author, slice, ThingCommand, typesOf } from '#libs/event-store/src/command-handlers.js';
import type { EventDraft } from '#libs/event-store/src/new-event.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import type { IntegrationSettings } from '#libs/events/src/shapes/integration-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { canonicalJson } from '#libs/kernel/src/json.js';

interface Facts {
  readonly orgId: string;
  readonly provider: string;
  readonly preset?: string;
  readonly slug: string;
  /** The workflow whose webhook trigger it serves: it is enabled and disabled with it, and never deleted. */
  readonly workflowId?: string;
  /** What the sender and its administrator still have to do. Absent: nothing. */
  readonly handshake?: Handshake;
  /** Reference; absent: the slug alone authenticates. */
  readonly secret?: string;
  readonly previous: readonly PreviousSecret[];
  readonly settings: IntegrationSettings;
}

/** How far a handshake is in which the sender gives a secret away, or wants its address confirmed. */
export interface Handshake {
  /** A secret is adopted until then, although there is one. RFC 3339 UTC. */
  readonly openUntil?: string;
  /** Administrators may read the secret that was adopted. */
  readonly shown?: boolean;
  /** The address at which the subscription is confirmed. */
  readonly confirmUrl?: string;
}

/**
 * One configured inbound source. `unknown` until it is created; then `active` or `disabled`, any number of times;
 * `deleted` is final: its slug and its id are never received at again.
 */
export type Integration =
  | { readonly kind: 'unknown' }
  | ({ readonly kind: 'active' } & Facts)
  | ({ readonly kind: 'disabled' } & Facts)
  | { readonly kind: 'deleted'; readonly orgId: string };

export const integration = slice<Integration>()({
  name: 'integration',
  stream: streams.integration,
  initial: { kind: 'unknown' },
  evolve: {
    'integration.created': (_, { provider, preset, slug, secret, workflowId, ...data }, { metadata }) => ({
      kind: 'active',
      orgId: metadata.orgId,
      provider,
      ...(preset === undefined ? {} : { preset }),
      slug,
      ...(workflowId === undefined ? {} : { workflowId }),
      ...(secret === undefined ? {} : { secret }),
      previous: [],
      settings: settingsOf(data),
    }),
    'integration.updated': (state, data) => (exists(state) ? { ...state, settings: settingsOf(data) } : state),
    'integration.secret_rotated': (state, { secret, previous }) => {
      if (!exists(state)) return state;
      const { secret: _, ...rest } = state;
      return { ...rest, ...(secret === undefined ? {} : { secret }), previous };
    },
    'integration.handshake_opened': (state, { until }) =>
      exists(state) ? { ...state, handshake: { openUntil: until } } : state,
    'integration.handshake_adopted': (state, { secret, shown }) => {
      if (!exists(state)) return state;
      const { handshake: _, ...rest } = state;
      return { ...rest, secret, previous: [], ...(shown && { handshake: { shown } }) };
    },
    'integration.handshake_pending': (state, { url }) =>
      exists(state) ? { ...state, handshake: { confirmUrl: url } } : state,
    'integration.handshake_shown': (state) => state,
    'integration.handshake_finished': (state) => {
      if (!exists(state)) return state;
      const { handshake: _, ...rest } = state;
      return rest;
    },
    'integration.enabled': (state) => (exists(state) ? { ...state, kind: 'active' } : state),
    'integration.disabled': (state) => (exists(state) ? { ...state, kind: 'disabled' } : state),
    'integration.deleted': (state) => (exists(state) ? { kind: 'deleted', orgId: state.orgId } : state),
  },
  hasEnded: ({ kind }) => kind === 'deleted',
  // Paths are one namespace for all organisations: the path alone says who receives.
  uniqueName: {
    of: (state) =>
      exists(state) && state.settings.customPath !== undefined
        ? { scope: '', name: state.settings.customPath }
        : undefined,
    taken: (path) => pathTaken(path),
  },
});

export const pathTaken = (path: string): Rejected =>
  new Rejected('conflict', 'integration.path_taken', `The path "${path}" is in use. Choose another.`, {
    problems: [{ pointer: '/customPath', detail: 'Must be a path that is not in use.' }],
  });

/** Everything that happens to an integration but the rotation of its secret. */
export const CHANGES_OF_SETTINGS = typesOf(integration).filter(
  (type) => type !== 'integration.secret_rotated' && !type.startsWith('integration.handshake_'),
);

type Existing = Extract<Integration, Facts>;
export const exists = (state: Integration): state is Existing => state.kind === 'active' || state.kind === 'disabled';

/** Without the id, which the stream's name says. */
function settingsOf(data: DataOf<'integration.updated'> | Omit<DataOf<'integration.updated'>, 'provider'>) {
  const { integrationId: _, ...settings } = data;
  return settings;
}

/** References of all secrets that are still of use, those of `config` included. */
export const secretReferences = (state: Integration): readonly string[] =>
  exists(state)
    ? [
        ...(state.secret === undefined ? [] : [state.secret]),
        ...state.previous.map(({ secret }) => secret),
        ...referencesIn(state.settings.config),
      ]
    : [];

type Drafts<T extends `integration.${string}` = never> = readonly Extract<EventDraft, { type: T }>[];

/** Sets an integration up. The same request sent again finds it as it was made, slug and all. */
export function create(state: Integration, command: CreateIntegration): Drafts<'integration.created'> {
  const { id, provider, preset, slug, secret, settings, workflowId } = command;
  if (exists(state)) {
    if (state.provider === provider && state.preset === preset && state.settings.name === settings.name) return [];
    throw new Rejected(
      'conflict',
      'integration.exists',
      'This Idempotency-Key was used for another integration. Use a new key for a new integration.',
    );
  }
  if (state.kind === 'deleted')
    throw new Rejected(
      'conflict',
      'integration.deleted',
      'This Idempotency-Key was used for an integration that has been deleted. Use a new key for a new one.',
    );
  const named = preset === undefined ? {} : { preset };
  const data = {
    integrationId: id,
    provider,
    ...named,
    slug,
    ...(secret === undefined ? {} : { secret }),
    ...(workflowId === undefined ? {} : { workflowId }),
    ...settings,
  };
  return [{ type: 'integration.created', data }];
}

/** Changes settings; says all of them as they are then. Nothing happens where nothing differs. */
export function update(state: Integration, command: UpdateIntegration): Drafts<'integration.updated'> {
  const { settings } = found(state, command);
  const next = { ...settings, ...command.changes } as Record<string, unknown>;
  for (const key of command.removed) delete next[key];
  if (canonicalJson(next) === canonicalJson(settings)) return [];
  const data = { integrationId: command.id, ...(next as unknown as IntegrationSettings) };
  return [{ type: 'integration.updated', data }];
}

/** Most secrets that are accepted beside the newest one. */
const MAX_PREVIOUS = 3;

/** Signs with another secret from now on. The one before is accepted for the grace that the command gives. */
export function rotateSecret(
  state: Integration,
  command: RotateSecret,
  now: Date,
): Drafts<'integration.secret_rotated'> {
  const { secret, previous } = found(state, command);
  if (secret === command.secret) return [];
  const data = {
    integrationId: command.id,
    ...(command.secret === undefined ? {} : { secret: command.secret }),
    previous: afterRotation({ current: secret, previous }, command.graceSeconds, now, MAX_PREVIOUS),
  };
  return [{ type: 'integration.secret_rotated', data }];
}

export function enable(state: Integration, command: EnableIntegration): Drafts<'integration.enabled'> {
  return found(state, command).kind === 'active'
    ? []
    : [{ type: 'integration.enabled', data: { integrationId: command.id } }];
}

export function disable(state: Integration, command: DisableIntegration): Drafts<'integration.disabled'> {
  return found(state, command).kind === 'disabled'
    ? []
    : [{ type: 'integration.disabled', data: { integrationId: command.id } }];
}

export function remove(state: Integration, command: DeleteIntegration): Drafts<'integration.deleted'> {
  if (state.kind === 'deleted' && state.orgId === command.author.orgId) return [];
  const { workflowId } = found(state, command);
  if (workflowId !== undefined)
    throw new Rejected(
      'conflict',
      'integration.of_workflow',
      `The integration belongs to the workflow ${workflowId}. Remove the webhook trigger from the workflow, or archive it: that disables the integration.`,
    );
  return [{ type: 'integration.deleted', data: { integrationId: command.id } }];
}

/** Another organisation's integration is as unknown as none. */
export function found(
  state: Integration,
  command: { readonly id: string; readonly author: { readonly orgId: string } },
) {
  if (exists(state) && state.orgId === command.author.orgId) return state;
  throw integrationNotFound(command.id);
}

export const integrationNotFound = (id: string): Rejected =>
  new Rejected(
    'not_found',
    'integration.not_found',
    `There is no integration ${id}. GET /api/v1/integrations lists the existing ones.`,
  );

export class CreateIntegration extends ThingCommand<Integration> {
  constructor(
    id: string,
    author: Author,
    readonly provider: string,
    readonly slug: string,
    readonly settings: IntegrationSettings,
    /** Reference of the secret. */
    readonly secret?: string,
    readonly preset?: string,
    readonly workflowId?: string,
  ) {
    super(id, author);
  }
}

export class UpdateIntegration extends ThingCommand<Integration> {
  constructor(
    id: string,
    author: Author,
    readonly changes: Partial<IntegrationSettings>,
    /** Settings that are removed. */
    readonly removed: readonly (keyof IntegrationSettings)[],
  ) {
    super(id, author);
  }
}

export class RotateSecret extends ThingCommand<Integration> {
  constructor(
    id: string,
    author: Author,
    /** Reference of the new secret; none: the slug alone authenticates from now on. */
    readonly secret: string | undefined,
    /** How long the one before is still accepted; 0 for no longer. */
    readonly graceSeconds: number,
  ) {
    super(id, author);
  }
}

export class EnableIntegration extends ThingCommand<Integration> {}

export class DisableIntegration extends ThingCommand<Integration> {}

export class DeleteIntegration extends ThingCommand<Integration> {}
