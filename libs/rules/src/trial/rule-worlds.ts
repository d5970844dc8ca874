import type { Consequence, World, WorldRequest, Worlds, WorldSource } from '#libs/event-index/src/worlds.js';
import { asRecorded } from '#libs/event-store/src/append-once.js';
import { platformEvent, type RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readTypes, readWhole } from '#libs/event-store/src/reading.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import type { RuleDefinition } from '#libs/events/src/shapes/rule-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { PREFIXES, uuid5 } from '#libs/kernel/src/ids.js';
import type { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

import { recordOf } from '../decisions/decision-events.js';
import { type ActionRefusal, isBeyondHops, refusalOf, type RuleVerdict } from '../engine/evaluate-rule.js';
import { RuleTable } from '../engine/rule.table.js';
import { outsideHours } from '../flow/held-back.js';
import { checkedAt } from '../language/definition.js';
import type { Failure } from '../language/condition.js';

/**
 * Rules that decide about events of the past: those of a place in the log, versions, or drafts. The code is that of the real
 * decisions, up to what they would record. Flow control is left out, since it depends on the events before: a match counts as
 * one, whether a throttle would hold it back or not.
 */
export class RuleWorlds implements WorldSource {
  constructor(
    private readonly plugins: Pick<Plugins, 'actions'>,
    worlds: Worlds,
  ) {
    worlds.add(this);
  }

  async worldOf(request: WorldRequest): Promise<World> {
    const table = new RuleTable();
    const { rules, workflows } = request.chosen;
    const asked = rules && (await this.chosen(request, rules));
    if (asked) for (const rule of asked.values()) table.apply(rule);
    else if (!workflows)
      for await (const event of readTypes(request.log, table.reads, request.at))
        if (event.hasMetadata && event.metadata.orgId === request.orgId) table.apply(event);
    return {
      decide: (event) => decide(table, event),
      isAsked: (by) => (asked ? asked.has(by) : !workflows && by.startsWith(OF_RULES)),
    };
  }

  private async chosen(
    request: WorldRequest,
    rules: NonNullable<WorldRequest['chosen']['rules']>,
  ): Promise<ReadonlyMap<string, RecordedEvent>> {
    const { orgId, at, log } = request;
    const found = await Promise.all(
      rules.map(async ({ ruleId, version, draft }, index): Promise<RecordedEvent<'rule.created'>> => {
        const pointer = `/with/rules/${index}`;
        if (draft) {
          const { definition } = checkedAt(`${pointer}/draft`, draft, this.plugins.actions);
          return asRule(orgId, ruleId ?? `draft-${index + 1}`, 1, definition);
        }
        const events = await readWhole(log, streams.rule(ruleId!));
        const saved = events.flatMap((event) =>
          event.is('rule.created', 'rule.updated') && event.metadata.orgId === orgId && event.position <= at
            ? [event.data]
            : [],
        );
        const found = saved.findLast((one) => version === undefined || one.version === version);
        if (!found) throw unknownRule(pointer, ruleId!, version);
        return asRule(orgId, ruleId!, found.version, found.definition);
      }),
    );
    return new Map(found.map((rule) => [rule.data.ruleId, rule]));
  }
}

function unknownRule(pointer: string, ruleId: string, version: number | undefined): Rejected {
  const detail =
    version === undefined
      ? `Must be a rule that existed at that time. There was no ${ruleId}.`
      : `Must be a version of the rule. ${ruleId} had no version ${version} at that time.`;
  return new Rejected('invalid', 'replay.unknown_rule', `The replay is invalid: ${pointer}: ${detail}`, {
    problems: [{ pointer, detail, code: 'replay.unknown_rule' }],
  });
}

const OF_RULES = `${PREFIXES.rule}_`;

/** As the log would have it. */
function asRule(
  orgId: string,
  ruleId: string,
  version: number,
  definition: RuleDefinition,
): RecordedEvent<'rule.created'> {
  const data = { ruleId, version, enabled: true, definition };
  const now = new Date(0);
  const event = newEvent(
    { type: 'rule.created', data },
    { id: uuid5('replay', ruleId, String(version)), orgId, actor: 'replay', now },
  );
  return asRecorded(
    streams.rule(ruleId),
    [event],
    { revision: 0n, position: 0n, repeated: false },
    now,
  )[0] as RecordedEvent<'rule.created'>;
}

function decide(table: RuleTable, event: RecordedEvent): readonly Consequence[] {
  const verdicts = isBeyondHops(event) ? undefined : table.evaluate(event);
  if (!verdicts || verdicts.decided.length === 0) return [];
  const held = new Map<RuleVerdict, Failure>();
  const refused = new Map<RuleVerdict, ActionRefusal>();
  for (const { rule, verdict } of verdicts.decided) {
    if (verdict.outcome !== 'matched') continue;
    const refusal = refusalOf(rule, event);
    const closed = outsideHours(rule.compiled, event.created);
    if (refusal) refused.set(verdict, refusal);
    else if (closed) held.set(verdict, closed);
  }
  const recorded = recordOf(event, platformEvent(event), verdicts, held, refused, event.created);
  const place = { revision: BigInt(recorded.length - 1), position: event.position, repeated: false };
  return consequencesIn(asRecorded(streams.decisions(event.id), recorded, place, event.created));
}

/** The decisions among these records, with what they request. */
function consequencesIn(records: readonly RecordedEvent[]): readonly Consequence[] {
  const requests = new Map(records.map((record) => [eventIdOf(record.id), record]));
  return records.flatMap((record) =>
    record.is('rule.evaluated')
      ? record.data.decisions.flatMap((decision): readonly Consequence[] => {
          const { ruleId: by, ruleName: name, ruleVersion, outcome, failed, error, actions } = decision;
          if (outcome === 'not_matched') return [];
          const reason = error ?? failed?.pointer;
          return [
            {
              ...{ kind: 'rule', by, name, version: String(ruleVersion), outcome },
              ...(reason !== undefined && { reason }),
              requests: actions.map(({ type, requestId, refused }) => {
                const request = requests.get(requestId);
                return refused === undefined && request
                  ? { type: request.type, data: request.data }
                  : { type, data: {}, ...(refused !== undefined && { refused }) };
              }),
            },
          ];
        })
      : [],
  );
}
