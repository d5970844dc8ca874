import type { TSchema } from '@sinclair/typebox';

import { catalogue, isEventType } from '../catalogue.js';
import { EVERY, type FieldPath } from './field-path.js';

/**
 * Fields that may hold what was taken from another event. In an event that follows from one with personal fields they are
 * encrypted; ids, states and counts stay readable, so that every table can be rebuilt. `author.name` stands for the field
 * below that parent, `subscriber.parked/reason` for the one of that type.
 *
 * `test/house/copied-fields.spec.ts` holds every field of every type against both lists: whoever adds one decides.
 */
const COPIED: ReadonlySet<string> = new Set(
  `actual added arguments assignee assigneeId assignees because blocks body branch channel channel.name cloudEvent comment
   data description detail email error expected form fullName headers input inputs labels message modified output outputs
   payload ref removed repository.name result scope sourceBranch sourceIp subscriber.parked/reason tag targetBranch text
   threadId title url username value values author.id author.name mentions.id mentions.name attachments.name`.split(
    /\s+/,
  ),
);

/** Fields that hold ids, states, places and what the author of a rule or workflow wrote: nothing of another event. */
export const PLAIN: ReadonlySet<string> = new Set(
  `account action actionId after agent agentId approvalId approve approver approvers argumentsSha256 asked at awaiting before
   bodySha256 by changed code command commentId commit condition contentType correlation correlationId deadline dedupeKey
   defaultBranch deliveryId effectId errorCode event eventId eventType executionId field forget format from headCommit id
   inputSchema integration integrationId issue issueId key kind mergeCommit messageId method model name nextAttemptAt number
   of path paths pointer position priority process provider reason redeliveryOf refused reject reopen request requestId
   restartOf retryAt retryId retrySchedule revision ruleId ruleName rules runId runs serverName settings since source
   startedAt state stepId stream subject subscriber taskId team teamId timestamp to tool toolCallId tracker trigger type
   until version webhookId when workflow workflowId`.split(/\s+/),
);

/** What people write through the API follows from no event, and tells of people only what they choose to write. */
const AUTHORED =
  /^(agent\.(registered|updated|removed)|event_type|event_view|integration|log|name|organisation|projection|replay|retention|secret|subject|token)\b|^(rule\.(created|updated|set_formed)|webhook\.(registered|updated|secret_rotated)|workflow\.(saved|activated|archived))$/;

export const isAuthored = (type: string): boolean => AUTHORED.test(type);

/** A schema as it is walked: typebox has a class for each kind, JSON Schema has keywords. */
interface Keywords {
  readonly type?: string;
  readonly const?: unknown;
  readonly anyOf?: readonly TSchema[];
  readonly allOf?: readonly TSchema[];
  readonly items?: TSchema;
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly patternProperties?: Readonly<Record<string, TSchema>>;
}

export interface Leaf {
  readonly path: FieldPath;
  /** The names under which the lists may have it, the most exact first. */
  readonly names: readonly string[];
}

/** Every field of a type that can hold a text, or anything. */
export function leavesOf(type: string, schema: TSchema): readonly Leaf[] {
  const leaves: Leaf[] = [];
  const walk = (part: TSchema, path: FieldPath, parent: string, name: string): void => {
    const { anyOf, allOf, items, properties, patternProperties, ...own } = part as Keywords;
    for (const one of [...(anyOf ?? []), ...(allOf ?? [])]) walk(one, path, parent, name);
    if (anyOf ?? allOf) return;
    if (own.type === 'array' && items) return walk(items, [...path, EVERY], parent, name);
    if (properties ?? patternProperties) {
      for (const [key, value] of Object.entries(properties ?? {})) walk(value, [...path, key], name, key);
      for (const value of Object.values(patternProperties ?? {})) walk(value, [...path, EVERY], parent, name);
      return;
    }
    if (own.const !== undefined || ['number', 'integer', 'boolean', 'null'].includes(own.type ?? '')) return;
    leaves.push({ path, names: [`${type}/${name}`, `${parent}.${name}`, name] });
  };
  walk(schema, [], '', '');
  return leaves;
}

export const isCopied = ({ names }: Leaf): boolean => names.some((name) => COPIED.has(name));

/** Of a type that the platform does not know: everything. */
const WHOLE: readonly FieldPath[] = [[EVERY]];
const known = new Map<string, readonly FieldPath[]>();

/** Where an event of a type may hold what was taken from another. */
export function copiedFields(type: string): readonly FieldPath[] {
  if (!isEventType(type)) return WHOLE;
  let paths = known.get(type);
  if (!paths) {
    const leaves = isAuthored(type) ? [] : leavesOf(type, catalogue[type].data).filter(isCopied);
    // A field that is described twice, in two forms of its object, is one field.
    paths = [...new Map(leaves.map(({ path }) => [path.map(String).join('\0'), path])).values()];
    known.set(type, paths);
  }
  return paths;
}
