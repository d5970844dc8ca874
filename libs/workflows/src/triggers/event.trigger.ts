import { Type } from '@sinclair/typebox';

import { globMatcher, isWide, typeMatcher } from '#libs/events/src/patterns.js';
import type { CompiledExpression } from '#libs/expressions/src/compile.js';
import { unlikelySource } from '#libs/plugin-sdk/src/loading/unlikely-source.js';
import { NAMES } from '#libs/events/src/shapes/named-shapes.js';

import type { Trigger } from '../language/definition.js';
import { checkEventPatterns, eventTypes, globs, ownSchemas } from '../language/event-patterns.js';
import { Expressions } from '../language/expressions.js';
import { closed, Condition, described, Globs } from '../language/fields.js';
import { visibleToTrigger } from '../language/scope-schema.js';
import type { SourceProblems } from '../language/source-problems.js';
import { failedGlobs, failedPart } from './failed-condition.js';
import { flowFields, readFlow, type TriggerFlow } from './flow-control.js';
import { pathMatcher } from './path-globs.js';
import type { TriggerKind } from './trigger-kind.js';

/** Starts a run for each event that fits; every field that is given must fit. */
export interface EventTrigger extends Trigger {
  /** Types by name or glob. */
  readonly event: readonly string[];
  readonly source: readonly string[] | undefined;
  readonly branches: readonly string[] | undefined;
  readonly paths: readonly string[] | undefined;
  readonly when: CompiledExpression | undefined;
  readonly flow: TriggerFlow | undefined;
}

/** Types that have branches, and files. */
const hasBranch = (type: string): boolean => type === 'git.push' || type.startsWith('pr.');

export const eventTrigger: TriggerKind<EventTrigger> = {
  name: 'event',
  shape: closed(
    {
      type: Type.Literal('event'),
      event: {
        ...Globs,
        description:
          'A type, a glob (`pr.*`) or a list. `*`, and every glob with `*` in its first segment, leaves out system types, `webhook.*` and what runs record about themselves.',
        expected: 'an event type, a glob such as pr.*, or a list of them',
        [NAMES]: 'eventType',
      },
      source: Type.Optional(described(Globs, 'Where the event comes from (`github`): a glob or a list.')),
      branches: Type.Optional(
        described(Globs, 'Of `git.push` and `pr.*`: globs. `*` stops at `/`, `**` does not, `!` excludes.'),
      ),
      paths: Type.Optional(
        described(
          Globs,
          'Of `git.push`: globs. One matching file is enough. If the sender does not list all files, the run starts, and `because` says so.',
        ),
      ),
      when: Type.Optional(described(Condition, 'A JMESPath condition over the event.')),
      ...flowFields,
    },
    'Starts a run for each matching event.',
  ),

  read(value, pointer, problems, sources) {
    const events = globs(value['event'])!;
    checkEventPatterns(value['event'], `${pointer}/event`, problems);
    const isWithBranch = eventTypes.some((type) => hasBranch(type) && events.some((glob) => globMatcher(glob)(type)));
    for (const key of ['branches', 'paths'])
      if (value[key] !== undefined && !isWithBranch)
        problems.add(
          `${pointer}/${key}`,
          'workflow.bad_value',
          `"${key}" must be used with git.push or pr.* only.`,
          true,
        );
    const when = value['when'];
    const source = globs(value['source']);
    if (value['paths'] !== undefined && isWithBranch && !listensTo(events, 'git.push'))
      problems.suspect(() => problems.warn(`${pointer}/paths`, 'workflow.paths_unknown', NO_FILES));
    problems.suspect(() => warnAboutSources(value['source'], `${pointer}/source`, problems, sources));
    const types = eventTypes.filter((type) => listensTo(events, type));
    const expressions = new Expressions(problems);
    const own = ownSchemas(events, (type) => listensTo(events, type), problems);
    const visible = visibleToTrigger(types, own);
    return {
      type: 'event',
      types,
      ...(own.length > 0 && { ownSchemas: own }),
      ...(value['batch'] !== undefined && { isBatch: true as const }),
      event: events,
      source,
      branches: globs(value['branches']),
      paths: globs(value['paths']),
      when: when === undefined ? undefined : expressions.condition(when, `${pointer}/when`, visible),
      flow: readFlow(value, pointer, visible, expressions, problems),
    };
  },

  /**
   * A wide glob (`*`, `*.failed`) leaves out what runs record about themselves, besides all that it leaves out anyway: a
   * workflow that listens to everything does not hear every step of every run. Name the type, or `workflow.*`, to get it.
   */
  listensTo: ({ event }, type) => listensTo(event, type),

  /** An event without branches or files does not fit a trigger that names some; one whose files are not all known does. */
  judge({ source, branches, paths, when }, event) {
    if (source && !source.some((glob) => globMatcher(glob)(event.source))) return { kind: 'ignored' };
    const data = event.data as CodeData;
    const { branch } = data;
    if (branches && !(typeof branch === 'string' && pathMatcher(branches)(branch)))
      return { kind: 'failed', failed: failedGlobs('branches', 'data.branch', branch, branches) };
    const isInPaths = paths && pathsFit(paths, data);
    if (isInPaths === false)
      return { kind: 'failed', failed: failedGlobs('paths', 'data.commits', someFiles(data), paths!) };
    const scope = { ...event, event };
    if (when && !when.test(scope)) return { kind: 'failed', failed: failedPart(when, scope, '/when') };
    return isInPaths === 'unknown' ? { kind: 'fits', because: MAY_FIT } : { kind: 'fits' };
  },
};

const NO_FILES = 'Only git.push lists files: no event of this trigger fits "paths". Add git.push, or remove "paths".';
const MAY_FIT =
  'The event does not list all changed files, and none of those that it lists fits "paths". The run starts because one of the others may fit.';

/** Which events a trigger names; `undefined` of one that no event starts. */
export const filterOf = (trigger: Trigger): Pick<EventTrigger, 'event' | 'source'> | undefined =>
  trigger.type === eventTrigger.name ? (trigger as EventTrigger) : undefined;

/** What decides which of the events that fit a trigger start a run, where anything does. */
export const flowOf = (trigger: Trigger): TriggerFlow | undefined =>
  trigger.type === eventTrigger.name ? (trigger as EventTrigger).flow : undefined;

function listensTo(event: readonly string[], type: string): boolean {
  const patterns = type.startsWith('workflow.') ? event.filter((pattern) => !isWide(pattern)) : event;
  return patterns.length > 0 && typeMatcher(patterns)(type);
}

function warnAboutSources(value: unknown, pointer: string, problems: SourceProblems, sources: readonly string[]): void {
  for (const [index, source] of (globs(value) ?? []).entries()) {
    const detail = unlikelySource(source, sources);
    const at = Array.isArray(value) ? `${pointer}/${index}` : pointer;
    if (detail !== undefined) problems.warn(at, 'workflow.unlikely_source', detail);
  }
}

interface CodeData {
  readonly branch?: string;
  readonly commits?: readonly {
    added?: readonly string[];
    modified?: readonly string[];
    removed?: readonly string[];
  }[];
  readonly truncated?: boolean;
}

const filesOf = ({ added = [], modified = [], removed = [] }: NonNullable<CodeData['commits']>[number]) => [
  ...added,
  ...modified,
  ...removed,
];

/** Enough files to see what was asked. */
const SHOWN_FILES = 20;
const someFiles = ({ commits }: CodeData): readonly string[] =>
  Array.isArray(commits) ? (commits as NonNullable<CodeData['commits']>).flatMap(filesOf).slice(0, SHOWN_FILES) : [];

/** What is absent is unknown: a sender, or the limit of an event, may leave out commits and paths. */
function pathsFit(paths: readonly string[], { commits, truncated }: CodeData): boolean | 'unknown' {
  if (!Array.isArray(commits)) return false;
  const matches = pathMatcher(paths);
  let isKnown = truncated !== true;
  for (const { added, modified, removed } of commits as NonNullable<CodeData['commits']>) {
    if ([added, modified, removed].some((files) => files?.some(matches))) return true;
    isKnown &&= added !== undefined && modified !== undefined && removed !== undefined;
  }
  return isKnown ? false : 'unknown';
}
