import type {
  WorkflowDetails,
  WorkflowDiff,
  WorkflowGraph,
  WorkflowVersionAnswer,
} from '#libs/events/src/shapes/workflow-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { UsageError } from '../failures.js';
import type { Given, Verb } from '../nouns/verb-table.js';
import { all } from '../pages.js';
import type { Shell } from '../shell.js';

/** The verbs of `millrace workflow` that are about versions. */
export const versionVerbs: readonly Verb[] = [
  { usage: 'versions <workflow>', does: 'list the versions of a workflow, newest first', run: versions },
  {
    usage: 'activate <workflow> <version>',
    does: 'use an earlier version for new runs, by its hash or number',
    run: activate,
  },
  {
    usage: 'graph <workflow>',
    does: 'draw a version of a workflow, for Mermaid or Graphviz',
    options: [
      ['--version <version>', 'hash or number; default: the newest'],
      ['--run <run>', 'with what became of each step in this run'],
      ['--format <format>', 'mermaid (default), dot or json'],
    ],
    run: graph,
  },
  {
    usage: 'diff <workflow>',
    does: 'compare two versions of a workflow',
    options: [
      ['--from <version>', 'hash or number; default: the version before the other'],
      ['--to <version>', 'hash or number; default: the newest'],
    ],
    run: diff,
  },
];

const pathOf = (name: string): string => `/api/v1/workflows/${encodeURIComponent(name)}`;

async function versions(shell: Shell, [name]: readonly string[]): Promise<void> {
  const found = await all<WorkflowVersionAnswer>(shell, `${pathOf(name!)}/versions`);
  if (shell.json) return shell.print(stringifyJson(found, 2));
  if (shell.quiet) return found.forEach(({ version }) => shell.print(version));
  shell.table(
    ['NUMBER', 'VERSION', 'ACTIVE', 'SAVED', 'BY'],
    found.map(({ number, version, active, savedAt, savedBy }) => [
      String(number),
      version,
      active ? 'yes' : '',
      savedAt,
      savedBy,
    ]),
  );
}

async function activate(shell: Shell, [name, given]: readonly string[]): Promise<void> {
  const found = await all<WorkflowVersionAnswer>(shell, `${pathOf(name!)}/versions`);
  // What is neither is refused by the server, which says so.
  const version = found.find(({ number }) => String(number) === given)?.version ?? given;
  const saved = await shell.call<WorkflowDetails>('POST', `${pathOf(name!)}/activate`, { version });
  if (shell.json) return shell.print(stringifyJson(saved, 2));
  shell.print(shell.quiet ? saved.version : `"${saved.name}" uses version ${saved.number} (${saved.version}) now.`);
}

function queryOf(given: Given, keys: readonly string[]): string {
  const query = new URLSearchParams();
  for (const key of keys) if (typeof given[key] === 'string') query.set(key, given[key]);
  return query.size === 0 ? '' : `?${query.toString()}`;
}

async function graph(shell: Shell, [name]: readonly string[], given: Given): Promise<void> {
  const format = shell.json ? 'json' : (given['format'] ?? 'mermaid');
  if (format !== 'mermaid' && format !== 'dot' && format !== 'json')
    throw new UsageError(`--format must be mermaid, dot or json, not "${String(format)}".`);
  const drawn = await shell.call<WorkflowGraph>('GET', `${pathOf(name!)}/graph${queryOf(given, ['version', 'run'])}`);
  shell.print(format === 'json' ? stringifyJson(drawn, 2) : format === 'dot' ? dotOf(drawn) : mermaidOf(drawn));
}

type Node = WorkflowGraph['nodes'][number];

/** `fetch (http): completed` */
const titleOf = ({ id, name, kind, status }: Node): string =>
  `${name ?? id} (${kind})${status === undefined ? '' : `: ${status}`}`;
const quoted = (text: string): string => `"${text.replaceAll('"', "'").replaceAll('\n', ' ')}"`;

export function mermaidOf({ nodes, edges }: WorkflowGraph): string {
  const lines = ['flowchart TD'];
  for (const node of nodes) lines.push(`  ${node.id}[${quoted(titleOf(node))}]`);
  for (const { from, to, kind, label } of edges)
    lines.push(`  ${from} ${kind === 'next' ? '-->' : '-.->'}${label === undefined ? '' : `|${quoted(label)}|`} ${to}`);
  for (const part of ['onFailure', 'finally'] as const) {
    const inside = nodes.filter((node) => node.part === part).map(({ id }) => `    ${id}`);
    if (inside.length > 0) lines.push(`  subgraph ${part}`, ...inside, '  end');
  }
  return lines.join('\n');
}

export function dotOf({ workflow, nodes, edges }: WorkflowGraph): string {
  const lines = [`digraph ${quoted(workflow)} {`, '  node [shape=box];'];
  for (const node of nodes) lines.push(`  ${quoted(node.id)} [label=${quoted(titleOf(node))}];`);
  for (const { from, to, kind, label } of edges) {
    const style = [
      ...(label === undefined ? [] : [`label=${quoted(label)}`]),
      ...(kind === 'next' ? [] : ['style=dashed']),
    ];
    lines.push(`  ${quoted(from)} -> ${quoted(to)}${style.length === 0 ? '' : ` [${style.join(', ')}]`};`);
  }
  return [...lines, '}'].join('\n');
}

/** Lines around a difference that are shown. */
const AROUND = 3;

async function diff(shell: Shell, [name]: readonly string[], given: Given): Promise<void> {
  const { from, to, steps, lines } = await shell.call<WorkflowDiff>(
    'GET',
    `${pathOf(name!)}/diff${queryOf(given, ['from', 'to'])}`,
  );
  if (shell.json) return shell.print(stringifyJson({ workflow: name, from, to, steps, lines }, 2));
  const isNear = (index: number): boolean =>
    lines.slice(Math.max(0, index - AROUND), index + AROUND + 1).some(({ kind }) => kind !== 'same');
  const marks = { same: ' ', removed: '-', added: '+' } as const;
  if (!shell.quiet) {
    shell.print(`--- ${name} version ${from.number} (${from.version})`);
    shell.print(`+++ ${name} version ${to.number} (${to.version})`);
  }
  for (const [index, { kind, text }] of lines.entries()) {
    if (!isNear(index)) continue;
    if (index > 0 && !isNear(index - 1)) shell.print('…');
    shell.print(`${marks[kind]}${text}`);
  }
  for (const id of steps?.added ?? []) shell.note(`added: ${id}`);
  for (const id of steps?.removed ?? []) shell.note(`removed: ${id}`);
  for (const { id, keys } of steps?.changed ?? []) shell.note(`changed: ${id} (${keys.join(', ')})`);
}
