import { ServerSaidNo } from './failures.js';
import type { Rule } from './rule-answers.js';
import { type ExportedRule, exportedRule, RuleFolder, type Written } from './rule-folder.js';
import { idOf } from './rule-verbs.js';
import type { Shell } from './shell.js';

const YAML = 'application/yaml';

export interface ExportOptions {
  readonly output?: string;
  readonly status?: string;
}

/**
 * Writes rules as YAML, all or those that are named: to the standard output as one stream of documents, or into a folder
 * as one file each. `apply` reads both.
 */
export async function exportRules(shell: Shell, given: readonly string[], options: ExportOptions): Promise<void> {
  const rules = given.length === 0 ? everyRule(shell, options.status) : namedRules(shell, given);
  if (options.output !== undefined) {
    const isWhole = given.length === 0 && options.status === undefined;
    return toFolder(shell, rules, options.output, isWhole);
  }
  // One line end is the screen's; more of them may belong to a text.
  for await (const { text } of rules) shell.print(`---\n${text.replace(/\n$/, '')}`);
}

async function toFolder(
  shell: Shell,
  rules: AsyncIterable<ExportedRule>,
  path: string,
  isWhole: boolean,
): Promise<void> {
  const folder = await RuleFolder.open(path, (id) => isInUse(shell, id));
  const files: Written[] = [];
  const idsByName = new Map<string, string[]>();
  try {
    for await (const rule of rules) {
      files.push(await folder.write(rule));
      idsByName.set(rule.name, [...(idsByName.get(rule.name) ?? []), rule.id]);
      shell.bar(`${files.length} rules written`);
    }
  } finally {
    shell.bar(undefined);
  }
  for (const [name, ids] of idsByName)
    if (ids.length > 1)
      shell.note(`${ids.length} rules are called "${name}" (${ids.join(', ')}): apply needs names that differ.`);
  if (isWhole)
    for (const file of folder.others) shell.note(`${file} is of no rule that is there, and was left as it is.`);
  if (shell.json) shell.print(JSON.stringify(files, null, 2));
  else if (shell.quiet) files.forEach(({ file }) => shell.print(file));
  else shell.print(summary(files, path));
}

async function isInUse({ call }: Shell, id: string): Promise<boolean> {
  try {
    return (await call<Rule>('GET', `/api/v1/rules/${encodeURIComponent(id)}`)).status !== 'archived';
  } catch (error) {
    if (error instanceof ServerSaidNo && error.status === 404) return false;
    throw error;
  }
}

function summary(files: readonly Written[], path: string): string {
  const count = (change: Written['change']): number => files.filter((one) => one.change === change).length;
  if (files.length === 0) return 'There are no rules.';
  return `${files.length} rules are in ${path}: ${count('created')} new, ${count('updated')} changed, ${count('unchanged')} as they were.`;
}

async function* namedRules(shell: Shell, given: readonly string[]): AsyncGenerator<ExportedRule> {
  for (const id of new Set(await Promise.all(given.map((one) => idOf(shell, one)))))
    for await (const text of documents(await shell.download(`/api/v1/rules/${encodeURIComponent(id)}`, YAML)))
      yield exportedRule(text, id);
}

async function* everyRule(shell: Shell, status: string | undefined): AsyncGenerator<ExportedRule> {
  const path = `/api/v1/rules${status === undefined ? '' : `?status=${encodeURIComponent(status)}`}`;
  for await (const text of documents(await shell.download(path, YAML))) yield exportedRule(text, 'The answer');
}

/** The documents of a stream as they come, without the `---` between them. */
export async function* documents(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  // As if a line had ended before the first `---`.
  let rest = '\n';
  for await (const chunk of body) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n---\n');
    rest = parts.pop()!;
    for (const part of parts) if (part.trim() !== '') yield `${part.replace(/^\n/, '')}\n`;
  }
  rest += decoder.decode();
  if (rest.trim() !== '') yield rest.replace(/^\n/, '');
}
