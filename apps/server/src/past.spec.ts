import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { secretIdOf } from '#libs/access/src/named-secrets/named-secret.js';
import { NamedSecretTable } from '#libs/access/src/named-secrets/named-secret.table.js';
import { OrganisationTable } from '#libs/access/src/organisation/organisation.table.js';
import { TokenTable } from '#libs/access/src/token/token.table.js';
import { agent } from '#libs/agents/src/agent/agent.js';
import { Past } from '#libs/audit/src/as-of/past.js';
import { WebhookTable } from '#libs/deliveries/src/webhook/webhook.table.js';
import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { Slice } from '#libs/event-store/src/command-handlers.js';
import { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import type { PastThing, Shown } from '#libs/event-store/src/past-kind.js';
import { SliceTable } from '#libs/event-store/src/slice-table.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { eventTypeIdOf } from '#libs/event-types/src/own-type.js';
import { OwnTypeTable } from '#libs/event-types/src/own-type.table.js';
import { catalogue, type EventType } from '#libs/events/src/catalogue.js';
import { exists, integration } from '#libs/intake/src/integration/integration.js';
import { issue } from '#libs/issues/src/issue.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { rule } from '#libs/rules/src/rule/rule.js';
import { workflowIdOf } from '#libs/workflows/src/workflow/workflow.js';
import { WorkflowTable } from '#libs/workflows/src/workflow/workflow.table.js';
import { testSteps } from '#libs/workflows/testing/library.js';

import { PAST } from './past.module.js';

const ORG = 'org_01jq5x1d0wkz4s3v2n8m7b6c5a';

/** What a table that is kept in memory answers now, and the same of what was. */
interface Live {
  readonly table: Table;
  readonly now: () => readonly unknown[];
  readonly then: (shown: Shown, thing: PastThing) => unknown;
}

function sliceTable<State, Own extends EventType>(
  slice: Slice<State, Own>,
  answer: (state: State) => object | undefined,
): Live {
  const table = new SliceTable(`test.${slice.name}`, slice);
  const now = (): readonly unknown[] =>
    [...table.entries()].flatMap(([id, state]) => {
      const shown = answer(state);
      return shown ? [{ id, ...shown }] : [];
    });
  return { table, now, then: (_, { id, state }) => ({ id, ...answer(state as State) }) };
}

/** The tables of the running system, by the kind of thing. */
function liveTables(): Readonly<Record<string, Live>> {
  const [tokens, secrets, organisations] = [new TokenTable(), new NamedSecretTable(), new OrganisationTable()];
  const [types, webhooks, workflows] = [new OwnTypeTable(), new WebhookTable(), new WorkflowTable(testSteps)];
  return {
    tokens: {
      table: tokens,
      now: () =>
        tokens.list(ORG).map(({ id, name, roles, createdAt, createdBy, expiresAt, bootstrap }) => ({
          ...{ id, name, roles, createdBy, bootstrap },
          createdAt: createdAt.toISOString(),
          expiresAt: expiresAt?.toISOString() ?? null,
        })),
      then: ({ updatedAt: _, updatedBy: __, ...shown }) => shown,
    },
    secrets: {
      table: secrets,
      now: () => secrets.list(ORG).map(({ name, createdAt, updatedAt }) => ({ name, createdAt, updatedAt })),
      then: ({ name, createdAt, updatedAt }) => ({ name, createdAt, updatedAt }),
    },
    organisations: {
      table: organisations,
      now: () => organisations.list(),
      then: ({ updatedAt: _, updatedBy: __, ...shown }) => shown,
    },
    'event-types': {
      table: types,
      now: () =>
        types.list(ORG).map(({ type, version, kind, content, updatedAt }) => ({
          ...{ type, version, status: kind === 'known' ? 'active' : kind, ...content, updatedAt },
        })),
      then: ({ createdAt: _, createdBy: __, updatedBy: ___, ...shown }) => shown,
    },
    'outbound-webhooks': {
      table: webhooks,
      now: () =>
        NUMBERS.flatMap((number) => {
          const known = webhooks.get(idOf(number));
          if (!known) return [];
          const { url, events } = known.settings;
          return [{ id: known.id, url, events, status: known.active ? 'active' : 'disabled' }];
        }),
      then: ({ id, url, events, status }) => ({ id, url, events, status }),
    },
    workflows: {
      table: workflows,
      now: () => workflows.all(ORG).map(({ id, name, version, paused }) => ({ id, name, version, paused })),
      then: ({ id, name, version, paused, status }) =>
        status === 'archived' ? undefined : { id, name, version, paused },
    },
    rules: sliceTable(rule, (state) => (state.status === 'unknown' ? undefined : state)),
    agents: sliceTable(agent, (state) => (state.kind === 'registered' ? state : undefined)),
    integrations: sliceTable(integration, (state) => (exists(state) ? state : undefined)),
    issues: sliceTable(issue, (state) => (state.kind === 'tracked' ? state : undefined)),
  };
}

const NUMBERS = [0, 1, 2];
const idOf = (number: number): string => `thing_${number}`;
/** Ids of things that are addressed by their name. */
const IDS: Readonly<Record<string, (orgId: string, name: string) => string>> = {
  workflow: workflowIdOf,
  secret: secretIdOf,
  eventType: eventTypeIdOf,
};
const types = PAST.flatMap(({ thing, reads }) => reads.map((type) => ({ thing, type })));
const history = fc.array(
  fc.record({
    at: fc.integer({ min: 0, max: types.length - 1 }),
    number: fc.constantFrom(...NUMBERS),
    version: fc.constantFrom('v1', 'v2'),
    mayFollow: fc.boolean(),
  }),
  { minLength: 1, maxLength: 80 },
);

function shuffled<T>(all: readonly T[], random: fc.Stream<number>): readonly T[] {
  return all
    .map((one) => ({ one, order: random.next().value! }))
    .sort((one, other) => one.order - other.order)
    .map(({ one }) => one);
}

const sorted = (all: readonly unknown[]): readonly string[] => all.map((one) => JSON.stringify(sortKeys(one))).sort();
const sortKeys = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
    : value;

describe('state as of a position', () => {
  it('has every kind of thing that tables are kept of', () => {
    expect(PAST.map(({ name }) => name).sort()).toEqual(Object.keys(liveTables()).sort());
  });

  it('equals what the live tables answered there, for any history and any order of questions', async () => {
    await fc.assert(
      fc.asyncProperty(
        history,
        fc.infiniteStream(fc.nat()),
        fc.constantFrom(0, 500, 100_000),
        async (steps, random, kept) => {
          const store = new MemoryEventStore();
          const live = liveTables();
          const things = new Map<string, PastThing>();
          const saved = new Set<string>();
          const answers: { readonly position: bigint; readonly by: Record<string, readonly string[]> }[] = [];
          for (const [index, { at, number, version, mayFollow }] of steps.entries()) {
            const { thing, type } = types[at]!;
            const kind = PAST.find((one) => one.thing === thing)!;
            // Creations more often than by chance: what was never created has no history.
            const used = mayFollow ? type : kind.reads[0]!;
            const name = idOf(number);
            const id = IDS[thing]?.(ORG, name) ?? name;
            const named = thing === 'eventType' ? { type: name } : thing === 'token' ? { name, hash: name } : { name };
            const versioned = thing === 'workflow' ? { version } : {};
            const data = { ...catalogue[used].example, ...named, ...versioned, [`${thing}Id`]: id };
            const now = new Date(Date.UTC(2026, 10, 20) + index * 1000);
            const event = newEvent({ type: used, data }, { id: uuid7(), orgId: ORG, actor: 'token/tok_1', now });
            const stream = kind.streamOf(ORG, name);
            // Commands do not create what is there.
            if (used === 'organisation.created' && things.has(stream)) continue;
            if (used === 'workflow.saved') saved.add(`${stream} ${version}`);
            if (used === 'workflow.activated' && !saved.has(`${stream} ${version}`)) continue;
            const draft = new RecordedEvent(stream, 0n, 0n, event.id, used, now, event.data, event.metadata);
            try {
              const known = things.get(stream);
              things.set(
                stream,
                kind.after(draft, () => known)!,
              );
            } catch {
              // What commands never write, a fold may refuse.
              continue;
            }
            const { position } = await store.append(stream, [event], 'any');
            const [recorded] = (await store.readAll({ from: position, limit: 1 })).events;
            for (const { table } of Object.values(live)) await table.apply(recorded!);
            const by = Object.fromEntries(Object.entries(live).map(([name, { now: ask }]) => [name, sorted(ask())]));
            answers.push({ position, by });
          }
          const past = new Past(store, kept);
          const questions = answers.flatMap((answer) => PAST.map((kind) => ({ ...answer, kind })));
          for (const { position, by, kind } of shuffled(questions, random)) {
            const { then } = live[kind.name]!;
            const shown = [...(await past.things(kind, position)).values()].flatMap((thing) => {
              const one = kind.show(thing);
              const answer = one && then(one, thing);
              return answer === undefined ? [] : [answer];
            });
            expect({ kind: kind.name, position, things: sorted(shown) }).toEqual({
              ...{ kind: kind.name, position, things: by[kind.name] },
            });
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});
