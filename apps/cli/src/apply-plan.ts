import { canonicalJson, isObject } from '#libs/kernel/src/json.js';

import type { Wanted } from './apply-files.js';
import type { Rule, Warning } from './rule-answers.js';
import { warningLines } from './rule-text.js';
import { all } from './rule-verbs.js';
import type { Shell } from './shell.js';

/** What became of a file, or would. */
export interface Applied {
  readonly file: string;
  readonly kind: Wanted['kind'];
  readonly name: string;
  readonly change: 'created' | 'updated' | 'unchanged' | 'failed';
  readonly detail?: string;
  readonly warnings?: readonly Warning[];
}

interface Checked {
  readonly valid: boolean;
  readonly version: string;
  readonly errors: readonly { readonly line?: number; readonly column?: number; readonly detail: string }[];
}

interface SavedWorkflow {
  readonly name: string;
  readonly version: string;
}

type Saved = Rule & Readonly<Record<string, unknown>>;

/**
 * Brings each file into force, one after the other, or says what that would do; what fails does not stop the others. What
 * is the same already is left alone.
 */
export async function apply(shell: Shell, wanted: readonly Wanted[], isDry: boolean): Promise<readonly Applied[]> {
  const rules = wanted.some(({ kind }) => kind === 'rule') ? await all<Saved>(shell, '/api/v1/rules') : [];
  const flows = wanted.some(({ kind }) => kind === 'workflow')
    ? await all<SavedWorkflow>(shell, '/api/v1/workflows')
    : [];
  const applied: Applied[] = [];
  for (const one of wanted) {
    shell.signal.throwIfAborted();
    const { file, kind, name } = one;
    try {
      const outcome =
        one.kind === 'unreadable'
          ? ({ change: 'failed', detail: one.problem } as const)
          : one.kind === 'rule'
            ? await applyRule(
                shell,
                one.body,
                rules.filter((rule) => rule.name === name),
                isDry,
              )
            : await applyWorkflow(
                shell,
                name,
                one.source,
                flows.find((flow) => flow.name === name),
                isDry,
              );
      applied.push({ file, kind, name, ...outcome });
    } catch (error) {
      if (!(error instanceof Error) || error.name === 'AbortError') throw error;
      applied.push({ file, kind, name, change: 'failed', detail: error.message });
    }
  }
  return applied;
}

type Outcome = Pick<Applied, 'change' | 'detail' | 'warnings'>;

async function applyRule(
  { call }: Shell,
  body: Record<string, unknown>,
  found: readonly Saved[],
  isDry: boolean,
): Promise<Outcome> {
  const [saved, other] = found;
  if (saved && other)
    return { change: 'failed', detail: `There are several rules of this name: ${saved.id}, ${other.id}.` };
  if (isDry) {
    // The draft is checked as it is when it is saved, and nothing is done.
    const { warnings } = await call<{ warnings: readonly Warning[] }>('POST', '/api/v1/rules/test', {
      rule: body,
      event: {},
    });
    return { change: saved ? (isSame(body, saved) ? 'unchanged' : 'updated') : 'created', warnings };
  }
  if (!saved) return { change: 'created', warnings: (await call<Rule>('POST', '/api/v1/rules', body)).warnings ?? [] };
  const after = await call<Rule>('PUT', `/api/v1/rules/${saved.id}`, body);
  const isUnchanged = after.version === saved.version && after.status === saved.status;
  return { change: isUnchanged ? 'unchanged' : 'updated', warnings: after.warnings ?? [] };
}

async function applyWorkflow(
  { call }: Shell,
  name: string,
  source: string,
  saved: SavedWorkflow | undefined,
  isDry: boolean,
): Promise<Outcome> {
  const { valid, version, errors } = await call<Checked>('POST', '/api/v1/workflows/validate', { source });
  if (!valid) {
    const [first] = errors;
    return {
      change: 'failed',
      detail: first ? `${first.line ?? 1}:${first.column ?? 1}: ${first.detail}` : 'It is not valid.',
    };
  }
  if (saved?.version === version) return { change: 'unchanged' };
  if (!isDry) await call('PUT', `/api/v1/workflows/${encodeURIComponent(name)}`, { source });
  return { change: saved ? 'updated' : 'created' };
}

/** What is left out when a rule is written; `enabled` stays as it is. */
const DEFAULTS: Readonly<Record<string, unknown>> = { eventSource: '*', actions: [] };
/** What a saved rule has beside what was written. */
const NOT_WRITTEN = new Set(['id', 'status', 'version', 'createdAt', 'updatedAt', 'warnings', 'enabled']);

/** Whether saving the file would change nothing. */
export function isSame(body: Readonly<Record<string, unknown>>, saved: Readonly<Record<string, unknown>>): boolean {
  const written = { ...DEFAULTS, ...body };
  if (written['enabled'] !== undefined && written['enabled'] !== saved['enabled']) return false;
  const parts = (of: Readonly<Record<string, unknown>>) =>
    canonicalJson(Object.fromEntries(Object.entries(of).filter(([key]) => !NOT_WRITTEN.has(key))));
  return parts({ ...written, actions: withWith(written['actions']) }) === parts(saved);
}

const withWith = (actions: unknown): unknown =>
  Array.isArray(actions) ? actions.map((one: unknown) => (isObject(one) ? { with: {}, ...one } : one)) : actions;

/** Shows what became of the files; the exit code: 1 if one failed. */
export function report(shell: Shell, applied: readonly Applied[], isDry: boolean): number {
  for (const { file, warnings = [] } of applied)
    warningLines(warnings).forEach((line) => shell.note(`${file}: ${line}`));
  const failed = applied.filter(({ change }) => change === 'failed');
  for (const { file, detail = '' } of failed)
    shell.note(`${file}: ${detail.startsWith(`${file}:`) ? detail.slice(file.length + 1).trim() : detail}`);
  if (shell.json) shell.print(JSON.stringify(applied, null, 2));
  else if (shell.quiet) applied.filter(({ change }) => change !== 'unchanged').forEach(({ file }) => shell.print(file));
  else {
    const word = (change: Applied['change']): string =>
      isDry && (change === 'created' || change === 'updated') ? `to be ${change}` : change;
    shell.table(
      ['FILE', 'KIND', 'NAME', 'CHANGE'],
      applied.map(({ file, kind, name, change }) => [file, kind, name, word(change)]),
    );
  }
  return failed.length > 0 ? 1 : 0;
}
