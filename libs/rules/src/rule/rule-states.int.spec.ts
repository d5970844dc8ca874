import { beforeEach, describe, expect, it } from '@jest/globals';

import { useViews } from '../../../../test/support/views.js';
import { callerOf, RuleBench } from '../../testing/rule-bench.js';
import { RuleVersionView, RuleView } from './rule.view.js';

/** What a change of a rule means for the events before it and after it: each kind of change, however they meet. */

const views = useViews({ entities: [RuleView, RuleVersionView] });
let bench: RuleBench;

beforeEach(async () => {
  bench = new RuleBench(views.dataSource);
});

const own = callerOf('org_1');
const other = callerOf('org_2');
const on = (branch: string) => ({ field: 'data.branch', operator: 'equals', value: branch });
const ruleOf = (eventType: string, branch = 'main') => ({
  name: `${eventType} on ${branch}`,
  eventType,
  conditions: on(branch),
  actions: [{ type: 'create_issue', with: { title: 'look' } }],
});

type RuleVerdict = 'matched' | 'not_matched' | 'no decision';
type Way = (id: string, eventType: string) => Promise<unknown>;
const nothing: Way = () => Promise.resolve();

interface Change {
  readonly title: string;
  /** As it is when the first event comes; absent: there is no rule yet. */
  readonly first?: (eventType: string) => object;
  readonly change: Way;
  readonly before: RuleVerdict;
  readonly after: RuleVerdict;
  /** Of the rule as it is after the change. */
  readonly version: number;
}

const enabled = (eventType: string) => ruleOf(eventType);
const disabled = (eventType: string) => ({ ...ruleOf(eventType), enabled: false });
const elsewhere = (eventType: string) => ruleOf(eventType, 'topic');
const api = () => bench.rules;
const switchTo = (id: string, on: boolean) => api().change(own, id, { enabled: on }, bench.reply);
let created: string | undefined;
const create = async (rule: object) => (created = (await api().create(own, rule, bench.reply)).id);

const CHANGES: readonly Change[] = [
  {
    title: 'is enabled all the time',
    first: enabled,
    change: nothing,
    before: 'matched',
    after: 'matched',
    version: 1,
  },
  {
    title: 'is disabled',
    first: enabled,
    change: (id) => switchTo(id, false),
    before: 'matched',
    after: 'no decision',
    version: 1,
  },
  {
    title: 'is archived',
    first: enabled,
    change: (id) => api().archive(own, id, bench.reply),
    before: 'matched',
    after: 'no decision',
    version: 1,
  },
  {
    title: 'is archived while it is disabled',
    first: disabled,
    change: (id) => api().archive(own, id, bench.reply),
    before: 'no decision',
    after: 'no decision',
    version: 1,
  },
  {
    title: 'is enabled again',
    first: disabled,
    change: (id) => switchTo(id, true),
    before: 'no decision',
    after: 'matched',
    version: 1,
  },
  {
    title: 'is disabled and enabled again',
    first: enabled,
    change: async (id) => {
      await switchTo(id, false);
      await switchTo(id, true);
    },
    before: 'matched',
    after: 'matched',
    version: 1,
  },
  {
    title: 'is enabled and disabled again',
    first: disabled,
    change: async (id) => {
      await switchTo(id, true);
      await switchTo(id, false);
    },
    before: 'no decision',
    after: 'no decision',
    version: 1,
  },
  {
    title: 'is updated so that it no longer matches',
    first: enabled,
    change: (id, type) => api().replace(own, id, elsewhere(type), bench.reply),
    before: 'matched',
    after: 'not_matched',
    version: 2,
  },
  {
    title: 'is updated so that it now matches',
    first: elsewhere,
    change: (id, type) => api().replace(own, id, enabled(type), bench.reply),
    before: 'not_matched',
    after: 'matched',
    version: 2,
  },
  {
    title: 'is updated so that it names another type',
    first: enabled,
    change: (id) => api().change(own, id, { eventType: 'deployment.*' }, bench.reply),
    before: 'matched',
    after: 'no decision',
    version: 2,
  },
  {
    title: 'is updated so that it names this type',
    first: () => ruleOf('deployment.*'),
    change: (id, eventType) => api().change(own, id, { eventType }, bench.reply),
    before: 'no decision',
    after: 'matched',
    version: 2,
  },
  {
    title: 'is updated while it is disabled, and stays so',
    first: disabled,
    change: (id) => api().change(own, id, { name: 'other' }, bench.reply),
    before: 'no decision',
    after: 'no decision',
    version: 2,
  },
  {
    title: 'is updated and enabled in one save',
    first: (eventType) => ({ ...elsewhere(eventType), enabled: false }),
    change: (id, type) => api().replace(own, id, { ...enabled(type), enabled: true }, bench.reply),
    before: 'no decision',
    after: 'matched',
    version: 2,
  },
  {
    title: 'is created',
    change: (_, type) => create(enabled(type)),
    before: 'no decision',
    after: 'matched',
    version: 1,
  },
  {
    title: 'is created disabled',
    change: (_, type) => create(disabled(type)),
    before: 'no decision',
    after: 'no decision',
    version: 1,
  },
];

/** How the events, the change and the decider meet. */
type Steps = readonly ('before' | 'change' | 'after' | 'decide' | 'restart')[];
const MEETINGS: Readonly<Record<string, Steps>> = {
  'each decided before the next': ['before', 'decide', 'change', 'decide', 'after', 'decide'],
  'all in one batch': ['before', 'change', 'after', 'decide'],
  'the first event decided with the change': ['before', 'change', 'decide', 'after', 'decide'],
  'the change decided with the second event': ['before', 'decide', 'change', 'after', 'decide'],
  'a restart after the change': ['before', 'change', 'decide', 'restart', 'after', 'decide'],
  'a restart before the change is handled': ['before', 'decide', 'change', 'restart', 'after', 'decide'],
  'a restart before anything is handled': ['before', 'change', 'after', 'restart', 'decide'],
};

/** A type as the rule names it, and a type of an event that it does not name. */
const SHAPES: readonly { readonly eventType: string; readonly unnamed: string }[] = [
  { eventType: 'git.push', unnamed: 'git.tag_pushed' },
  { eventType: 'git.*', unnamed: 'pr.opened' },
  { eventType: '*', unnamed: 'webhook.failed' },
];

const cells = CHANGES.flatMap((change) =>
  Object.entries(MEETINGS).flatMap(([meeting, steps]) =>
    SHAPES.map((shape) => ({ ...change, ...shape, meeting, steps })),
  ),
);

interface Happened {
  readonly named: string;
  readonly unnamed: string;
  readonly foreign: string;
}

/** Takes the steps. @returns the events before and after the change, and the rule's id. */
async function take({ steps, first, change, eventType, unnamed }: (typeof cells)[number]) {
  created = undefined;
  if (first) await create(first(eventType));
  await api().create(other, enabled(eventType), bench.reply);
  const happened: { before?: Happened; after?: Happened } = {};
  for (const step of steps) {
    if (step === 'decide') await bench.decide();
    else if (step === 'restart') bench.restart();
    else if (step === 'change') await change(created ?? '', eventType);
    else
      happened[step] = {
        named: await bench.happens('git.push', { branch: 'main' }),
        unnamed: await bench.happens(unnamed, { branch: 'main' }),
        foreign: await bench.happens('git.push', { branch: 'main' }, 'org_2'),
      };
  }
  return { before: happened.before!, after: happened.after!, id: created };
}

describe('a rule holds for every later event and for no earlier one', () => {
  it.each(cells)('$eventType $title: $meeting', async (cell) => {
    const { before, after, id } = await take(cell);
    const decisions = await bench.decisions();
    const asked = await bench.asked();
    const verdictOn = (event: string): unknown => {
      const found = decisions.filter(({ eventId }) => eventId === event);
      // Of the own rule alone, and once.
      expect(found.map(({ ruleId }) => ruleId)).toEqual(found.length === 0 ? [] : [id]);
      // What matched was asked for, and nothing else was.
      expect(asked.filter((one) => one === event)).toHaveLength(found[0]?.outcome === 'matched' ? 1 : 0);
      return found[0]?.outcome ?? 'no decision';
    };
    expect([verdictOn(before.named), verdictOn(after.named)]).toEqual([cell.before, cell.after]);
    expect([verdictOn(before.unnamed), verdictOn(after.unnamed)]).toEqual(['no decision', 'no decision']);
    const last = decisions.find(({ eventId }) => eventId === after.named);
    if (last) expect(last.ruleVersion).toBe(cell.version);

    // The other organisation's rule, which nobody changed, decides on its own events alone.
    for (const { foreign } of [before, after]) {
      const found = decisions.filter(({ eventId }) => eventId === foreign);
      expect(found).toMatchObject([{ outcome: 'matched', ruleVersion: 1 }]);
      expect(found[0]!.ruleId).not.toBe(id);
      expect(asked.filter((one) => one === foreign)).toHaveLength(1);
    }
  });
});
