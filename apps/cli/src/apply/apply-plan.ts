import type { Assuming } from '#libs/events/src/shapes/event-types/assuming-shape.js';
import type { EventTypeAnswer } from '#libs/events/src/shapes/event-types/event-type-shape.js';
import type { SavedWorkflow, WorkflowAnswer, WorkflowCheck } from '#libs/events/src/shapes/workflow-shape.js';
import { inParallel } from '#libs/kernel/src/in-parallel.js';
import { isObject } from '#libs/kernel/src/json.js';

import type { FileProblem, Wanted } from './apply-files.js';
import type { Applied, Outcomes } from './apply-outcome.js';
import { progressOf } from './apply-report.js';
import { isSame, isSameType } from './apply-same.js';
import { ServerSaidNo, Unreachable } from '../failures.js';
import type { Rule, Warning } from '../rule/rule-answers.js';
import { all } from '../pages.js';
import type { Shell } from '../shell.js';
import { noteWebhook } from '../workflow/workflow-verbs.js';

type SavedRule = Rule & Readonly<Record<string, unknown>>;
type FileOutcome = Pick<Applied, 'change' | 'problems' | 'warnings'>;

/** Saves under way at a time: each waits until the server has written it down, and the server can do several. */
const CONCURRENT = 16;

/**
 * Applies each document, or says what that would do: first event types, then workflows, then rules, since one may name another.
 * What is unchanged is left alone. All documents of a file are checked first, and none is applied if one is wrong; a failure does
 * not stop other files.
 * @throws ServerSaidNo, Unreachable before anything is done; later on `stopped` says so.
 */
export async function apply(shell: Shell, wanted: readonly Wanted[], isDry: boolean): Promise<Outcomes> {
  const plan = new Plan(shell, await savedOnes(shell, wanted), assumedIn(wanted));
  const outcomes = new Map<Wanted, FileOutcome>();
  const documents = groups(wanted, ({ path }) => path);
  const isOneOfSeveral = ({ path }: Wanted): boolean => documents.get(path)!.length > 1;
  const failed = (one: Wanted): boolean => outcomes.get(one)?.change === 'failed';
  let stopped: unknown;

  const inTurn = async (some: readonly Wanted[], work: (one: Wanted) => Promise<FileOutcome>, doing: string) => {
    const tell = progressOf(shell, some.length, doing);
    const left = new Set(some);
    const underWay = new Set<Wanted>();
    try {
      await inParallel(some, CONCURRENT, async (one) => {
        shell.signal.throwIfAborted();
        underWay.add(one);
        outcomes.set(one, await plan.attempt(one, work));
        underWay.delete(one);
        left.delete(one);
        tell();
      });
    } catch (error) {
      stopped = error;
      for (const one of left) outcomes.set(one, underWay.has(one) && doing === APPLIED ? UNKNOWN : LEFT);
    } finally {
      shell.bar(undefined);
    }
  };

  for (const one of wanted) outcomes.set(one, plan.known(one));
  const changing = wanted.filter((one) => plan.isChange(outcomes.get(one)!));
  const checked = isDry ? wanted.filter((one) => !failed(one)) : changing.filter(isOneOfSeveral);
  await inTurn(checked, (one) => plan.check(one), 'checked');
  for (const one of changing)
    if (!failed(one) && isOneOfSeveral(one) && documents.get(one.path)!.some(failed))
      outcomes.set(one, skipped('Skipped: another document in this file is invalid.'));
  if (!isDry) {
    const left = changing.filter((one) => plan.isChange(outcomes.get(one)!));
    if (stopped !== undefined) for (const one of left) outcomes.set(one, LEFT);
    else
      for (const kind of ['event type', 'workflow', 'rule'] as const) {
        const ofKind = left.filter((one) => one.kind === kind);
        if (stopped !== undefined) for (const one of ofKind) outcomes.set(one, LEFT);
        else if (ofKind.length > 0) await inTurn(ofKind, (one) => plan.save(one), APPLIED);
      }
  }
  const applied = wanted.map((one): Applied => {
    const { file, path, kind, name } = one;
    return { file, path, kind, name, ...outcomes.get(one)! };
  });
  return { applied, ...(stopped !== undefined && { stopped }) };
}

const APPLIED = 'applied';
const skipped = (detail: string): FileOutcome => ({ change: 'skipped', problems: [{ detail }] });
const LEFT = skipped('Not tried any more.');
const UNKNOWN: FileOutcome = {
  change: 'failed',
  problems: [
    { detail: 'The server did not answer, so this may or may not be saved. Apply again: a repeat changes nothing.' },
  ],
};

interface Saved {
  readonly rules: ReadonlyMap<string, readonly SavedRule[]>;
  readonly flows: ReadonlyMap<string, readonly WorkflowAnswer[]>;
  readonly types: ReadonlyMap<string, EventTypeAnswer>;
}

/** What the documents can name because others of them are applied with them. */
function assumedIn(wanted: readonly Wanted[]): Assuming {
  const types = wanted.flatMap((one) =>
    one.kind === 'event type' && isObject(one.body['schema']) ? [[one.name, one.body['schema']] as const] : [],
  );
  const workflows = wanted.flatMap(({ kind, name }) => (kind === 'workflow' ? [name] : []));
  return {
    ...(types.length > 0 && { eventTypes: Object.fromEntries(types) }),
    ...(workflows.length > 0 && { workflows }),
  };
}

async function savedOnes(shell: Shell, wanted: readonly Wanted[]): Promise<Saved> {
  const byName = <T extends { readonly name: string }>(some: readonly T[]) => groups(some, ({ name }) => name);
  const needs = (kind: Wanted['kind']): boolean => wanted.some((one) => one.kind === kind);
  return {
    rules: byName(needs('rule') ? await all<SavedRule>(shell, '/api/v1/rules') : []),
    flows: byName(needs('workflow') ? await all<WorkflowAnswer>(shell, '/api/v1/workflows') : []),
    types: new Map(
      (needs('event type') ? await all<EventTypeAnswer>(shell, TYPES) : []).map((one) => [one.type, one] as const),
    ),
  };
}

const TYPES = '/api/v1/event-types';

/** What is to be done with each document, and doing it. */
class Plan {
  constructor(
    private readonly shell: Shell,
    private readonly saved: Saved,
    private readonly assuming: Assuming,
  ) {}

  isChange({ change }: FileOutcome): boolean {
    return change === 'created' || change === 'updated';
  }

  /** As far as it is known without asking. */
  known(one: Wanted): FileOutcome {
    if (one.kind === 'unreadable') return { change: 'failed', problems: [one.problem] };
    if (one.kind === 'workflow') return { change: this.saved.flows.has(one.name) ? 'updated' : 'created' };
    if (one.kind === 'event type') {
      const saved = this.saved.types.get(one.name);
      if (!saved) return { change: 'created' };
      return { change: isSameType(one.body, saved) ? 'unchanged' : 'updated' };
    }
    const [saved, other] = this.saved.rules.get(one.name) ?? [];
    if (!saved) return { change: 'created' };
    if (!other) return { change: isSame(one.body, saved) ? 'unchanged' : 'updated' };
    const detail = `Several rules have this name: ${saved.id}, ${other.id}. Rename or archive all but one.`;
    return { change: 'failed', problems: [{ ...one.place('/name'), detail }] };
  }

  /** What saving would change; checked as it is when it is saved. */
  async check(one: Wanted): Promise<FileOutcome> {
    if (one.kind === 'workflow') return this.checkWorkflow(one);
    if (one.kind === 'event type') {
      await this.shell.call('POST', `${TYPES}/validate`, one.body);
      return this.known(one);
    }
    if (one.kind !== 'rule') return this.known(one);
    const { warnings } = await this.shell.call<{ warnings: readonly Warning[] }>('POST', '/api/v1/rules/test', {
      rule: one.body,
      event: {},
      assuming: this.assuming,
    });
    return { ...this.known(one), warnings };
  }

  async save(one: Wanted): Promise<FileOutcome> {
    if (one.kind === 'workflow') {
      const outcome = await this.checkWorkflow(one);
      if (this.isChange(outcome)) {
        const path = `/api/v1/workflows/${encodeURIComponent(one.name)}`;
        const saved = await this.shell.call<SavedWorkflow>('PUT', path, { source: one.source });
        if (saved.webhook?.secret !== undefined) noteWebhook(this.shell, saved);
      }
      return outcome;
    }
    if (one.kind === 'event type') {
      const { type: _, ...content } = one.body;
      if (this.saved.types.has(one.name))
        await this.shell.call('PUT', `${TYPES}/${encodeURIComponent(one.name)}`, content);
      else await this.shell.call('POST', TYPES, one.body);
      return this.known(one);
    }
    if (one.kind !== 'rule') return this.known(one);
    const [saved] = this.saved.rules.get(one.name) ?? [];
    const after = saved
      ? await this.shell.call<Rule>('PUT', `/api/v1/rules/${saved.id}`, one.body)
      : await this.shell.call<Rule>('POST', '/api/v1/rules', one.body);
    const isUnchanged = after.version === saved?.version && after.status === saved.status;
    const change = saved ? (isUnchanged ? 'unchanged' : 'updated') : 'created';
    return { change, warnings: after.warnings ?? [] };
  }

  /** @throws what ends everything: that nobody answers, and Ctrl-C. */
  async attempt(one: Wanted, work: (one: Wanted) => Promise<FileOutcome>): Promise<FileOutcome> {
    try {
      return await work(one);
    } catch (error) {
      if (!(error instanceof Error) || error instanceof Unreachable || this.shell.signal.aborted) throw error;
      return { change: 'failed', problems: problemsOf(error, one) };
    }
  }

  private async checkWorkflow(one: Wanted & { readonly kind: 'workflow' }): Promise<FileOutcome> {
    const { valid, version, errors, warnings } = await this.shell.call<WorkflowCheck>(
      'POST',
      '/api/v1/workflows/validate',
      { source: one.source, assuming: this.assuming },
    );
    const inFile = <T extends { line?: number; column?: number }>({ line = 1, column = 1, ...more }: T) => ({
      ...more,
      line: line + one.line - 1,
      column,
    });
    if (!valid) {
      const problems = errors.map(inFile);
      return { change: 'failed', problems: problems.length > 0 ? problems : [{ detail: 'It is not valid.' }] };
    }
    const [saved] = this.saved.flows.get(one.name) ?? [];
    const change = saved ? (saved.version === version ? 'unchanged' : 'updated') : 'created';
    return { change, warnings: warnings.map(inFile) };
  }
}

/** What the server said about a document, each problem with its place in the file. */
function problemsOf(error: Error, { place }: Wanted): readonly FileProblem[] {
  if (!(error instanceof ServerSaidNo)) return [{ detail: error.message }];
  const { code, detail, problems } = error;
  if (problems.length === 0) return [{ code, detail }];
  return problems.map((problem) => ({ code, ...problem, ...place(problem.pointer) }));
}

function groups<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const found = new Map<string, T[]>();
  for (const item of items) {
    const group = found.get(keyOf(item));
    if (group) group.push(item);
    else found.set(keyOf(item), [item]);
  }
  return found;
}
