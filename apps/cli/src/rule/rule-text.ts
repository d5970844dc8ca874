import type { RuleDecisionAnswer, WorkflowDecisionAnswer } from '#libs/events/src/shapes/decision-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type {
  BacktestProgress,
  BacktestResult,
  Decision,
  Failed,
  Sample,
  Trial,
  Warning,
  Why,
} from './rule-answers.js';

const json = (value: unknown): string => stringifyJson(value) ?? 'nothing';
const count = (number: number): string => number.toLocaleString('en-GB');
const words = (outcome: string): string => outcome.replace('_', ' ');

/** The condition that decided, what it saw and where it stands. */
export const failureText = ({ condition, actual, pointer }: Failed): string =>
  `${condition}, but was ${json(actual)}  (${pointer})`;

/** What let a rule that matched not act. */
const heldText = ({ condition, field, actual, pointer }: Failed): string =>
  `${condition}; ${field} was ${json(actual)}  (${pointer})`;

/** One line for each warning, with its place. */
export const warningLines = (warnings: readonly Warning[]): readonly string[] =>
  warnings.map(
    ({ pointer, column, message }) =>
      `warning: ${pointer}${column === undefined ? '' : `, column ${column}`}: ${message}`,
  );

/** Why each rule ran or did not, for a person. */
export function whyText(why: Why, decisions: readonly Decision[]): string {
  const lines = [`${why.eventId}  ${why.type} from ${why.source}`, ''];
  if (!why.decided)
    lines.push('Rules and triggers have not been evaluated for this event yet. Try again in a moment.', '');
  for (const decision of decisions)
    lines.push(...(decision.kind === 'rule' ? ruleLines(decision) : workflowLines(decision)), '');
  if (decisions.every(({ kind }) => kind !== 'rule') && why.decided) lines.push(...nobodyLines(why), '');
  if (why.nearest.length > 0) {
    const rest = why.rules - why.decisions - why.nearest.length;
    lines.push(
      `Without a verdict${rest > 0 ? `, the nearest ${why.nearest.length} of ${count(rest + why.nearest.length)}` : ''}:`,
    );
    for (const near of why.nearest) lines.push(`  ${near.ruleName} (${near.ruleId}): ${reasonText(near, why)}`);
    lines.push('');
  }
  if (why.nearestTriggers.length > 0) {
    lines.push('Triggers of workflows without a decision, the nearest first:');
    for (const near of why.nearestTriggers)
      lines.push(`  ${near.workflow} (trigger ${near.trigger}): ${triggerText(near, why)}`);
  }
  return lines.join('\n').trimEnd();
}

/** What a trigger of a workflow made of an event: below it, why. */
function workflowLines(decision: WorkflowDecisionAnswer): readonly string[] {
  const { workflow, version, trigger, outcome } = decision;
  const why = workflowReason(decision);
  return [
    `${words(outcome).padEnd(11)}  workflow ${workflow} (trigger ${trigger}, version ${version})`,
    ...(why === undefined ? [] : [`${' '.repeat(13)}${why}`]),
  ];
}

/** In one line; of a run that started, its id. */
export function workflowReason({ runId, failed, detail, error }: WorkflowDecisionAnswer): string | undefined {
  if (failed) return failed.expected === true ? sawText(failed) : failureText(failed);
  return detail ?? error ?? runId;
}

/** A condition that is an expression has to be true. */
const sawText = ({ condition, field, actual, pointer }: Failed): string =>
  `${condition} is not true${field === '' ? '' : `: ${field} was ${json(actual)}`}  (${pointer})`;

function ruleLines({
  ruleName,
  ruleId,
  ruleVersion,
  outcome,
  failed,
  error,
  actions,
}: RuleDecisionAnswer): readonly string[] {
  const lines = [`${words(outcome).padEnd(11)}  ${ruleName} (${ruleId}, version ${ruleVersion})`];
  const more = (text: string): void => void lines.push(`${' '.repeat(13)}${text}`);
  if (outcome === 'throttled') more(`matched, but was held back${failed ? `: ${heldText(failed)}` : ''}`);
  else if (failed) more(failureText(failed));
  if (error !== undefined) more(error);
  for (const { type, requestId, refused, failed: failure, waiting, detail } of actions) {
    const code = refused ?? failure ?? waiting;
    const verb = refused === undefined ? (failure === undefined ? 'waits' : 'failed') : 'was refused';
    more(
      code === undefined
        ? `requested ${type} (${requestId})`
        : `${type} ${verb}: ${detail === undefined ? code : `${detail} (${code})`}`,
    );
  }
  return lines;
}

function nobodyLines({ rules, type, source, eventId }: Why): readonly string[] {
  const advice = `Write one that names ${type} (and ${source}, or any source), and see what it would do:\n  millrace rule test my-rule.yaml --event ${eventId}`;
  return rules === 0
    ? ['No rule evaluated this event: there are no rules.', advice]
    : ['No rule evaluated this event: none names its type and source.', advice];
}

function reasonText(
  { reason, eventType, eventSource, ruleId }: Why['nearest'][number],
  { type, source }: Pick<Why, 'type' | 'source'>,
): string {
  const ofType = `it names the type ${eventType}, and this is ${type}`;
  const ofSource = `it names the source ${eventSource}, and this came from ${source}`;
  switch (reason) {
    case 'type':
      return `${ofType}.`;
    case 'source':
      return `${ofSource}.`;
    case 'both':
      return `${ofType}; ${ofSource}.`;
    case 'disabled':
      return `it names this event but is disabled. Enable it: millrace rule enable ${ruleId}`;
    case 'created_later':
      return 'it names this event but was created after it. Rules apply to later events only.';
    default:
      return 'it names this event now, but was enabled or changed after the event.';
  }
}

function triggerText(
  { reason, event, source }: Why['nearestTriggers'][number],
  seen: Pick<Why, 'type' | 'source'>,
): string {
  const ofType = `it names ${event.join(', ')}, and this is ${seen.type}`;
  const ofSource = `it names the source ${source.join(', ')}, and this came from ${seen.source}`;
  if (reason === 'type') return `${ofType}.`;
  if (reason === 'source') return `${ofSource}.`;
  if (reason === 'both') return `${ofType}; ${ofSource}.`;
  return 'it names this event now, but the workflow was saved or changed after it.';
}

/** What a draft made of one event. */
export function trialText({ outcome, failed, error, trace, actions, flow }: Trial): string {
  const lines = [words(outcome)];
  if (failed) lines.push(`  ${failureText(failed)}`);
  if (error !== undefined) lines.push(`  ${error}`);
  lines.push('');
  for (const { holds, condition, field, actual, pointer } of trace)
    lines.push(
      `${holds ? 'holds ' : 'fails '} ${condition}${field === undefined ? '' : `: ${json(actual)}`}  (${pointer})`,
    );
  for (const { type, with: given } of actions)
    lines.push('', `${type}, which would be requested with`, indented(given));
  const { window, once, debounce, throttle } = flow ?? {};
  const forKey = ({ key }: { readonly key: string }): string => (key === '' ? '' : ` for the key ${json(key)}`);
  if (window) lines.push('', `acts ${window.text}`);
  if (once)
    lines.push('', `acts on the first of a burst, which ends after ${once.quiet} without a match${forKey(once)}`);
  if (debounce) {
    const most = debounce.maxWait === undefined ? '' : `, or ${debounce.maxWait} after the first`;
    lines.push('', `acts on the last of a burst, after ${debounce.quiet} without a match${most}${forKey(debounce)}`);
  }
  if (throttle) lines.push('', `at most ${count(throttle.limit)} a ${throttle.per}${forKey(throttle)}`);
  return lines.join('\n');
}

const indented = (value: unknown): string => stringifyJson(value, 2).replace(/^/gm, '  ');

/** What a draft would have made of a range of the log. */
export function backtestText(result: BacktestResult): string {
  const { scanned, matched, notMatched, throttled, errored, notNamed, samples, reasons, difference, elapsedMs } =
    result;
  const lines = [
    `${count(scanned)} events looked at in ${(elapsedMs / 1000).toFixed(1)} s`,
    `  matched      ${count(matched)}`,
    `  not matched  ${count(notMatched)}`,
    ...(throttled > 0
      ? [
          `  throttled    ${count(throttled)}${result.throttleExact ? '' : ' (at least: there were more keys than are tracked)'}`,
        ]
      : []),
    ...(errored > 0 ? [`  errored      ${count(errored)}`] : []),
    ...(notNamed > 0 ? [`  not named    ${count(notNamed)}`] : []),
  ];
  if (reasons.length > 0) lines.push('', 'Conditions that failed:');
  for (const reason of reasons)
    lines.push(`  ${count(reason.count).padStart(9)}  ${reason.condition}  (${reason.pointer})`);
  for (const outcome of ['matched', 'errored', 'throttled', 'not_matched']) {
    const some = samples.filter((sample) => sample.outcome === outcome);
    if (some.length > 0) lines.push('', `Newest ${words(outcome)}:`, ...some.map(sampleLine));
  }
  if (difference) {
    const { ruleId, version, both, onlyDraft, onlyOther } = difference;
    lines.push('', `Against ${ruleId}, version ${version}: both match ${count(both)},`);
    lines.push(`only the draft ${count(onlyDraft.count)}, only the saved rule ${count(onlyOther.count)}.`);
    if (onlyDraft.count > 0) lines.push('', 'Only the draft:', ...onlyDraft.samples.map(sampleLine));
    if (onlyOther.count > 0) lines.push('', 'Only the saved rule:', ...onlyOther.samples.map(sampleLine));
  }
  return lines.join('\n');
}

function sampleLine({ eventId, timestamp, type, subject, failed, error }: Sample): string {
  const more = failed ? `  ${failureText(failed)}` : error === undefined ? '' : `  ${error}`;
  return `  ${timestamp}  ${eventId}  ${type}${subject === '' ? '' : `  ${subject}`}${more}`;
}

const BAR = 24;

/** One line that says how far a backtest is. */
export function progressText({ scanned, total, percent, rate }: BacktestProgress): string {
  const full = Math.round((percent / 100) * BAR);
  return `[${'='.repeat(full)}${' '.repeat(BAR - full)}] ${percent.toFixed(0).padStart(3)} %  ${count(scanned)} of about ${count(total)} events, ${count(rate)}/s`;
}
