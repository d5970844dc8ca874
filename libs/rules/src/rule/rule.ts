import { type Decide, slice, type Author, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { streams } from '#libs/events/src/streams.js';
import type { RuleDefinition } from '#libs/events/src/shapes/rule-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { canonicalJson } from '#libs/kernel/src/json.js';

interface Facts {
  readonly orgId: string;
  /** 1 for the first save; counts saves that changed something. */
  readonly version: number;
  readonly definition: RuleDefinition;
}

/**
 * A trigger rule. `unknown` until it is created; then `enabled` or `disabled`, any number of times; `archived` is
 * final. A change applies to later events of the log, and to no earlier one.
 */
export type Rule = { readonly status: 'unknown' } | ({ readonly status: 'enabled' | 'disabled' | 'archived' } & Facts);

export type RuleEventType = 'rule.created' | 'rule.updated' | 'rule.enabled' | 'rule.disabled' | 'rule.archived';

export const rule = slice<Rule>()({
  name: 'rule',
  stream: streams.rule,
  initial: { status: 'unknown' },
  evolve: {
    'rule.created': (_, { version, enabled, definition }, { metadata }) => ({
      status: enabled ? 'enabled' : 'disabled',
      orgId: metadata.orgId,
      version,
      definition,
    }),
    'rule.updated': (state, { version, definition }) => change(state, { version, definition }),
    'rule.enabled': (state) => change(state, { status: 'enabled' }),
    'rule.disabled': (state) => change(state, { status: 'disabled' }),
    'rule.archived': (state) => change(state, { status: 'archived' }),
  },
});

const change = (state: Rule, facts: Partial<Existing>): Rule =>
  state.status === 'unknown' ? state : { ...state, ...facts };

type Existing = Exclude<Rule, { status: 'unknown' }>;
type Decision<C> = Decide<Rule, RuleEventType, C>;

/** Creating the same rule again has no effect: the request was sent twice. */
export const create: Decision<CreateRule> = (state, { id, definition, enabled }) => {
  if (state.status === 'unknown')
    return [{ type: 'rule.created', data: { ruleId: id, version: 1, enabled, definition } }];
  if (isSame(state.definition, definition)) return [];
  throw new Rejected('conflict', 'rule.exists', `There is already another rule ${id}: change it with PUT.`);
};

/** A save that changes nothing makes no version. */
export const update: Decision<UpdateRule> = (state, { id, author, definition, enabled }) => {
  const current = inForce(state, id, author.orgId);
  return [
    ...(isSame(current.definition, definition)
      ? []
      : [{ type: 'rule.updated' as const, data: { ruleId: id, version: current.version + 1, definition } }]),
    ...(enabled === undefined ? [] : switched(current, id, enabled)),
  ];
};

export const enable: Decision<EnableRule> = (state, { id, author }) =>
  switched(inForce(state, id, author.orgId), id, true);

export const disable: Decision<DisableRule> = (state, { id, author }) =>
  switched(inForce(state, id, author.orgId), id, false);

export const archive: Decision<ArchiveRule> = (state, { id, author }) => {
  if (known(state, id, author.orgId).status === 'archived') return [];
  return [{ type: 'rule.archived', data: { ruleId: id } }];
};

function switched({ status }: Existing, ruleId: string, enabled: boolean) {
  if ((status === 'enabled') === enabled) return [];
  return [{ type: enabled ? ('rule.enabled' as const) : ('rule.disabled' as const), data: { ruleId } }];
}

/** A rule of another organisation is as unknown as one that never was. */
function known(state: Rule, id: string, orgId: string): Existing {
  if (state.status !== 'unknown' && state.orgId === orgId) return state;
  throw notFound(id);
}

function inForce(state: Rule, id: string, orgId: string): Existing {
  const existing = known(state, id, orgId);
  if (existing.status !== 'archived') return existing;
  throw new Rejected(
    'conflict',
    'rule.archived',
    `Rule ${id} is archived and cannot be enabled again. Create a new one.`,
  );
}

export const notFound = (id: string): Rejected =>
  new Rejected('not_found', 'rule.not_found', `There is no rule ${id}. GET /api/v1/rules lists the existing ones.`);

const isSame = (one: RuleDefinition, other: RuleDefinition): boolean => canonicalJson(one) === canonicalJson(other);

export class CreateRule extends ThingCommand<Rule> {
  constructor(
    id: string,
    author: Author,
    readonly definition: RuleDefinition,
    readonly enabled: boolean,
  ) {
    super(id, author);
  }
}

export class UpdateRule extends ThingCommand<Rule> {
  constructor(
    id: string,
    author: Author,
    readonly definition: RuleDefinition,
    /** Absent: as it is. */
    readonly enabled?: boolean,
    expectedRevision?: bigint,
  ) {
    super(id, author, expectedRevision);
  }
}

export class EnableRule extends ThingCommand<Rule> {}

export class DisableRule extends ThingCommand<Rule> {}

export class ArchiveRule extends ThingCommand<Rule> {}
