import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { ServerSaidNo } from '../failures.js';
import type { Decision, Rule, RuleVersion, Trial, Why } from './rule-answers.js';
import { boundOf, followBacktest, referenceOf } from './rule-backtest.js';
import { UnreadableFile } from './rule-file.js';
import { backtestText, progressText, trialText, warningLines, whyText } from './rule-text.js';
import { all, pages } from '../pages.js';
import type { Shell } from '../shell.js';

/** The id of a rule that was named by its id or its name. */
export async function idOf(shell: Shell, given: string): Promise<string> {
  if (/^rul_\w+$/.test(given)) return given;
  const named: Rule[] = [];
  for await (const page of pages<Rule>(shell, '/api/v1/rules'))
    named.push(...page.filter(({ name }) => name === given));
  if (named.length === 1) return named[0]!.id;
  throw new ServerSaidNo(
    404,
    'rule.not_found',
    named.length === 0
      ? `There is no rule "${given}". millrace rule ls lists the rules.`
      : `${named.length} rules are called "${given}": name one by its id, ${named.map(({ id }) => id).join(' or ')}.`,
  );
}

const pathOf = async (shell: Shell, given: string): Promise<string> =>
  `/api/v1/rules/${encodeURIComponent(await idOf(shell, given))}`;

export async function list(shell: Shell, { status }: { readonly status?: string }): Promise<void> {
  const path = `/api/v1/rules${status === undefined ? '' : `?status=${encodeURIComponent(status)}`}`;
  const rules = await all<Rule>(shell, path);
  if (shell.json) return shell.print(stringifyJson(rules, 2));
  if (shell.quiet) return rules.forEach(({ id }) => shell.print(id));
  if (rules.length === 0) return shell.note('There are no rules. Save one: millrace rule create my-rule.yaml');
  shell.table(
    ['ID', 'NAME', 'STATUS', 'VERSION', 'SOURCE', 'TYPE', 'CHANGED'],
    rules.map((rule) => [
      rule.id,
      rule.name,
      rule.status,
      String(rule.version),
      rule.eventSource,
      rule.eventType,
      rule.updatedAt,
    ]),
  );
}

export async function view(shell: Shell, given: string): Promise<void> {
  const rule = await shell.call<Rule>('GET', await pathOf(shell, given));
  shell.print(shell.quiet ? rule.id : stringifyJson(rule, 2));
}

export async function create(shell: Shell, file: string): Promise<void> {
  saved(shell, await shell.call<Rule>('POST', '/api/v1/rules', await shell.read(file)), 'created');
}

export async function update(shell: Shell, given: string, file: string): Promise<void> {
  const body = await shell.read(file);
  saved(shell, await shell.call<Rule>('PUT', await pathOf(shell, given), body), 'saved');
}

export async function switchTo(shell: Shell, given: string, enabled: boolean): Promise<void> {
  const rule = await shell.call<Rule>('PATCH', await pathOf(shell, given), { enabled });
  saved(shell, { ...rule, warnings: [] }, enabled ? 'enabled' : 'disabled');
}

export async function remove(shell: Shell, given: string): Promise<void> {
  const id = await idOf(shell, given);
  await shell.call('DELETE', `/api/v1/rules/${encodeURIComponent(id)}`);
  if (shell.json) return shell.print(stringifyJson({ id, status: 'archived' }, 2));
  shell.print(shell.quiet ? id : `${id} is archived. Its decisions stay.`);
}

export async function versions(shell: Shell, given: string): Promise<void> {
  const found = await all<RuleVersion>(shell, `${await pathOf(shell, given)}/versions`);
  if (shell.json) return shell.print(stringifyJson(found, 2));
  if (shell.quiet) return found.forEach(({ version }) => shell.print(String(version)));
  shell.table(
    ['VERSION', 'NAME', 'TYPE', 'BY', 'AT'],
    found.map(({ version, name, eventType, savedBy, savedByName, savedAt }) => [
      String(version),
      name,
      eventType,
      savedByName ?? savedBy,
      savedAt,
    ]),
  );
}

function saved(shell: Shell, rule: Rule, what: string): void {
  warningLines(rule.warnings ?? []).forEach((line) => shell.note(line));
  if (shell.json) return shell.print(stringifyJson(rule, 2));
  shell.print(shell.quiet ? rule.id : `${rule.id} "${rule.name}" is ${what}, version ${rule.version}, ${rule.status}.`);
}

/** The exit code: 0, or 1 where another outcome was expected. */
export async function test(
  shell: Shell,
  file: string,
  { event, expect }: { readonly event: string; readonly expect?: string },
): Promise<number> {
  const rule = await shell.read(file);
  const body = /^evt_\w+$/.test(event) ? { rule, eventId: event } : { rule, event: await shell.read(event) };
  const trial = await shell.call<Trial>('POST', '/api/v1/rules/test', body);
  warningLines(trial.warnings).forEach((line) => shell.note(line));
  shell.print(shell.json ? stringifyJson(trial, 2) : shell.quiet ? trial.outcome : trialText(trial));
  if (expect === undefined || expect === trial.outcome) return 0;
  shell.note(`The outcome is ${trial.outcome}, and ${expect} was expected.`);
  return 1;
}

export interface BacktestOptions {
  readonly from?: string;
  readonly to?: string;
  readonly by?: string;
  readonly compareTo?: string;
}

export async function backtest(shell: Shell, file: string, options: BacktestOptions): Promise<void> {
  const rule = await shell.read(file);
  const now = new Date();
  const other = options.compareTo === undefined ? undefined : referenceOf(options.compareTo);
  const body = {
    rule,
    ...(options.from !== undefined && { from: boundOf(options.from, now) }),
    ...(options.to !== undefined && { to: boundOf(options.to, now) }),
    ...(options.by !== undefined && { by: options.by }),
    ...(other && {
      compareTo: {
        ruleId: await idOf(shell, other.rule),
        ...(other.version !== undefined && { version: other.version }),
      },
    }),
  };
  try {
    const lines = await shell.stream('/api/v1/rules/backtest', body, shell.signal);
    const result = await followBacktest(lines, (progress) => shell.bar(progressText(progress)));
    shell.bar(undefined);
    warningLines(result.warnings).forEach((line) => shell.note(line));
    shell.print(shell.json ? stringifyJson(result, 2) : shell.quiet ? String(result.matched) : backtestText(result));
  } finally {
    shell.bar(undefined);
  }
}

export async function why(shell: Shell, eventId: string): Promise<void> {
  if (!/^evt_\w+$/.test(eventId)) throw new UnreadableFile(`${eventId} is not an event id; event ids begin with evt_.`);
  const path = `/api/v1/events/${eventId}`;
  // First, since it waits until the rules have been asked.
  const others = await shell.call<Why>('GET', `${path}/why`);
  const decisions = await all<Decision>(shell, `${path}/decisions`);
  if (shell.json) return shell.print(stringifyJson({ ...others, decisions }, 2));
  if (shell.quiet)
    return decisions.forEach((decision) =>
      shell.print(`${decision.kind === 'rule' ? decision.ruleId : decision.workflowId} ${decision.outcome}`),
    );
  shell.print(whyText(others, decisions));
}
