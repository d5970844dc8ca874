import { afterRotation, type PreviousSecret } from '#libs/access/src/secrets/secret-rotation.js';
import { type Decide, slice, type Author, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import type { AgentSettings } from '#libs/events/src/shapes/agents/agent-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { canonicalJson } from '#libs/kernel/src/json.js';

/** Earlier secrets that may be in their time of grace. */
const MAX_PREVIOUS = 4;

interface Facts {
  readonly orgId: string;
  readonly settings: AgentSettings;
  /** Reference; absent: it never had one. */
  readonly secret?: string;
  /** Earlier ones that are accepted a while longer. */
  readonly previous?: readonly PreviousSecret[];
}

/** Something that does what it is asked to. `unknown` until it is registered, then `registered`; `removed` is final. */
export type Agent =
  { readonly kind: 'unknown' } | ({ readonly kind: 'registered' } & Facts) | ({ readonly kind: 'removed' } & Facts);

export const agent = slice<Agent>()({
  name: 'agent',
  stream: streams.agent,
  initial: { kind: 'unknown' },
  evolve: {
    'agent.registered': (_, { settings, secret }, { metadata }) => ({
      kind: 'registered',
      orgId: metadata.orgId,
      settings,
      ...(secret !== undefined && { secret }),
    }),
    'agent.updated': (state, { settings, secret, previous = [] }) =>
      state.kind === 'unknown' ? state : { ...state, settings, ...(secret !== undefined && { secret, previous }) },
    'agent.removed': (state) => (state.kind === 'unknown' ? state : { ...state, kind: 'removed' }),
  },
  // Rules and workflows may name an agent by its name: it must mean one.
  uniqueName: {
    of: (state) => (state.kind === 'registered' ? { scope: state.orgId, name: state.settings.name } : undefined),
    taken: (name) => nameTaken(name),
  },
});

export const nameTaken = (name: string): Rejected =>
  new Rejected('conflict', 'agent.name_taken', `There is already an agent "${name}". Choose another name.`, {
    problems: [{ pointer: '/name', detail: 'Must be a name that no other agent has.' }],
  });

type Events = 'agent.registered' | 'agent.updated' | 'agent.removed';
type Decision<C> = Decide<Agent, Events, C>;

/** Registering the same agent again has no effect: the request was sent twice. */
export const register: Decision<RegisterAgent> = (state, { id, settings, secret }) => {
  if (state.kind === 'unknown')
    return [{ type: 'agent.registered', data: { agentId: id, settings, ...(secret !== undefined && { secret }) } }];
  if (state.kind === 'registered' && state.settings.name === settings.name) return [];
  throw new Rejected(
    'conflict',
    'agent.exists',
    'This Idempotency-Key was used for another agent. Use a new key for a new agent.',
  );
};

export const update: Decision<UpdateAgent> = (state, { id, author, changes, secret, graceSeconds }, now) => {
  const { settings, secret: current, previous: before = [] } = known(state, id, author.orgId);
  const next = { ...settings, ...changes };
  if (secret === undefined && canonicalJson(next) === canonicalJson(settings)) return [];
  const rotated =
    secret === undefined
      ? {}
      : { secret, previous: afterRotation({ current, previous: before }, graceSeconds, now, MAX_PREVIOUS) };
  return [{ type: 'agent.updated', data: { agentId: id, settings: next, ...rotated } }];
};

export const remove: Decision<RemoveAgent> = (state, { id, author }) => {
  if (state.kind === 'removed' && state.orgId === author.orgId) return [];
  known(state, id, author.orgId);
  return [{ type: 'agent.removed', data: { agentId: id } }];
};

/** An agent of another organisation is as unknown as one that never was. */
function known(state: Agent, id: string, orgId: string): Extract<Agent, { kind: 'registered' }> {
  if (state.kind === 'registered' && state.orgId === orgId) return state;
  throw agentNotFound(id);
}

export const agentNotFound = (id: string): Rejected =>
  new Rejected('not_found', 'agent.not_found', `There is no agent ${id}. GET /api/v1/agents lists the existing ones.`);

export class RegisterAgent extends ThingCommand<Agent> {
  constructor(
    id: string,
    author: Author,
    readonly settings: AgentSettings,
    /** Reference of the secret. */
    readonly secret?: string,
  ) {
    super(id, author);
  }
}

export class UpdateAgent extends ThingCommand<Agent> {
  constructor(
    id: string,
    author: Author,
    readonly changes: Partial<AgentSettings>,
    /** Reference of a new secret. */
    readonly secret?: string,
    /** How long the earlier secret counts too. */
    readonly graceSeconds = 0,
  ) {
    super(id, author);
  }
}

export class RemoveAgent extends ThingCommand<Agent> {}
