import type { DecisionSources } from '#libs/event-index/src/decision-sources.js';
import type { Consequence, ReadOnlyLog, Requested } from '#libs/event-index/src/worlds.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import type {
  EventDecisionAnswer,
  RuleDecisionAnswer,
  WorkflowDecisionAnswer,
} from '#libs/events/src/shapes/decision-shape.js';
import { streams } from '#libs/events/src/streams.js';

const PAGE = 1_000;

/** What was decided about events, and what was requested: as it is recorded. */
export class DecidedThen {
  constructor(
    private readonly log: ReadOnlyLog,
    private readonly decisions: DecisionSources,
  ) {}

  /** What matched, was held back or could not be evaluated. */
  async about(event: RecordedEvent): Promise<readonly Consequence[]> {
    const recorded = await this.recorded(event);
    const rules = recorded.filter(
      (one): one is RuleDecisionAnswer => one.kind === 'rule' && one.outcome !== 'not_matched',
    );
    const requests = await this.requests(event, rules);
    return [...rules.map((one) => ofRule(one, requests)), ...ofWorkflows(recorded)];
  }

  private async recorded({ id, metadata }: RecordedEvent): Promise<readonly EventDecisionAnswer[]> {
    const found: EventDecisionAnswer[] = [];
    for (let after = ''; ;) {
      const query = { orgId: metadata.orgId, eventId: eventIdOf(id), after };
      const page = await this.decisions.decisionsOn(query, PAGE);
      found.push(...page.map(({ shown }) => shown));
      if (page.length < PAGE) return found;
      after = page.at(-1)!.key;
    }
  }

  /** The requests of rules that matched, by their ids. */
  private async requests(
    { id }: RecordedEvent,
    rules: readonly RuleDecisionAnswer[],
  ): Promise<ReadonlyMap<string, RecordedEvent>> {
    const requests = new Map<string, RecordedEvent>();
    const read = async (stream: string): Promise<void> => {
      for (const event of await readWhole(this.log, stream)) requests.set(eventIdOf(event.id), event);
    };
    const acted = rules.filter(({ actions }) => actions.length > 0);
    if (acted.length > 0) await read(streams.decisions(id));
    // One that waited for the end of a burst has a stream of its own.
    for (const { ruleId, actions } of acted)
      if (actions.some(({ requestId }) => !requests.has(requestId))) await read(streams.afterBurst(ruleId, id));
    return requests;
  }
}

function ofRule(decision: RuleDecisionAnswer, requests: ReadonlyMap<string, RecordedEvent>): Consequence {
  const { ruleId: by, ruleName: name, ruleVersion, outcome, failed, error, actions } = decision;
  const reason = error ?? failed?.pointer;
  return {
    ...{ kind: 'rule', by, name, version: String(ruleVersion), outcome: outcome as Consequence['outcome'] },
    ...(reason !== undefined && { reason }),
    requests: actions.map(({ type, requestId, refused }): Requested => {
      const request = requests.get(requestId);
      return refused === undefined && request
        ? { type: request.type, data: request.data }
        : { type, data: {}, ...(refused !== undefined && { refused }) };
    }),
  };
}

const STRENGTH = { started: 3, skipped: 2, errored: 1, not_matched: 0 } as const;

/** A workflow decides once, by the first of its triggers that fits. */
function ofWorkflows(recorded: readonly EventDecisionAnswer[]): readonly Consequence[] {
  const strongest = new Map<string, WorkflowDecisionAnswer>();
  for (const one of recorded) {
    if (one.kind !== 'workflow' || one.outcome === 'not_matched') continue;
    const known = strongest.get(one.workflowId);
    if (!known || STRENGTH[one.outcome] > STRENGTH[known.outcome]) strongest.set(one.workflowId, one);
  }
  return [...strongest.values()].map(({ workflowId: by, workflow: name, version, outcome, reason, error }) => ({
    ...{ kind: 'workflow' as const, by, name, version, outcome: outcome as Consequence['outcome'] },
    ...(error !== undefined ? { reason: error } : reason !== undefined && { reason }),
    requests: [],
  }));
}
