import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { ServerSaidNo } from '../failures.js';
import type { Rule } from './rule-answers.js';
import { exportedRule, RuleFolder, type Written } from './rule-folder.js';
import { idOf } from './rule-verbs.js';
import type { Shell } from '../shell.js';

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
  const texts = given.length === 0 ? everyText(shell, options.status) : namedTexts(shell, given);
  if (options.output !== undefined) {
    const isWhole = given.length === 0 && options.status === undefined;
    return toFolder(shell, texts, options.output, isWhole);
  }
  // One line end is the screen's; more of them may belong to a text.
  for await (const text of texts) shell.print(`---\n${text.replace(/\n$/, '')}`);
}

async function toFolder(shell: Shell, texts: AsyncIterable<string>, path: string, isWhole: boolean): Promise<void> {
  const folder = await RuleFolder.open(path, (id) => isInUse(shell, id));
  const files: Written[] = [];
  const idsByName = new Map<string, string[]>();
  try {
    for await (const text of texts) {
      const rule = exportedRule(text, 'The answer');
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
    for (const file of folder.others) shell.note(`${file} belongs to no existing rule and was left unchanged.`);
  if (shell.json) shell.print(stringifyJson(files, 2));
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

async function* namedTexts(shell: Shell, given: readonly string[]): AsyncGenerator<string> {
  for (const id of new Set(await Promise.all(given.map((one) => idOf(shell, one)))))
    yield* documents(await shell.download(`/api/v1/rules/${encodeURIComponent(id)}`, YAML));
}

async function* everyText(shell: Shell, status: string | undefined): AsyncGenerator<string> {
  const path = `/api/v1/rules${status === undefined ? '' : `?status=${encodeURIComponent(status)}`}`;
  yield* documents(await shell.download(path, YAML));
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
