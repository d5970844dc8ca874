import type { AgentAnswer } from '#libs/events/src/shapes/agents/agent-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { AS_OF, nowOrThen } from '../nouns/as-of.js';
import type { Verb } from '../nouns/verb-table.js';
import { all } from '../pages.js';
import type { Shell } from '../shell.js';

export const AGENTS = '/api/v1/agents';

/** An agent by its id or its name. */
export async function agentNamed(shell: Shell, given: string): Promise<string> {
  if (given.startsWith('agt_')) return given;
  const agents = await all<AgentAnswer>(shell, AGENTS);
  // One that is not there by name is not there by id either: the answer of the server says so.
  return agents.find(({ name }) => name === given)?.id ?? given;
}
export const pathOf = (id: string): string => `${AGENTS}/${encodeURIComponent(id)}`;

/** What `millrace agent` does with agents. */
export const agentVerbs: readonly Verb[] = [
  { usage: 'ls', does: 'list agents', options: [AS_OF], run: nowOrThen('agents', list) },
  {
    usage: 'view <agent>',
    does: 'show an agent, by its id or name',
    options: [AS_OF],
    run: nowOrThen('agents', view),
  },
  { usage: 'create <file>', does: 'create an agent from a YAML or JSON file; shows its secret once', run: create },
  {
    usage: 'update <agent> <file>',
    does: 'change what the file names, such as webhookEnabled: true; shows a new secret once',
    run: update,
  },
  { usage: 'rm <agent>', does: 'remove an agent; its executions stay', run: remove },
];

async function list(shell: Shell): Promise<void> {
  const agents = await all<AgentAnswer>(shell, AGENTS);
  if (shell.json) return shell.print(stringifyJson(agents, 2));
  if (shell.quiet) return agents.forEach(({ id }) => shell.print(id));
  if (agents.length === 0) return shell.note('There are no agents. Create one: millrace agent create agent.yaml');
  shell.table(
    ['ID', 'NAME', 'RUNTIME', 'WEBHOOK'],
    agents.map(({ id, name, runtime, webhookUrl }) => [id, name, runtime, webhookUrl ?? '–']),
  );
}

async function view(shell: Shell, [given]: readonly string[]): Promise<void> {
  show(shell, await shell.call<AgentAnswer>('GET', pathOf(await agentNamed(shell, given!))));
}

async function create(shell: Shell, [file]: readonly string[]): Promise<void> {
  show(shell, await shell.call<AgentAnswer>('POST', AGENTS, await shell.read(file!)));
}

async function update(shell: Shell, [given, file]: readonly string[]): Promise<void> {
  const path = pathOf(await agentNamed(shell, given!));
  show(shell, await shell.call<AgentAnswer>('PATCH', path, await shell.read(file!)));
}

async function remove(shell: Shell, [given]: readonly string[]): Promise<void> {
  const id = await agentNamed(shell, given!);
  await shell.call('DELETE', pathOf(id));
  if (shell.json) return shell.print(stringifyJson({ id, status: 'removed' }, 2));
  shell.print(shell.quiet ? id : `${id} is removed. Its executions stay.`);
}

function show(shell: Shell, agent: AgentAnswer): void {
  if (shell.json) return shell.print(stringifyJson(agent, 2));
  if (shell.quiet) return shell.print(agent.id);
  const { id, name, runtime, config, webhookUrl, auth, rateLimit, maxConcurrent, secret } = agent;
  shell.print(`${id} "${name}" runs as ${runtime}: ${stringifyJson(config)}`);
  shell.print(`Webhook: ${webhookUrl === null ? 'disabled' : `${webhookUrl} (auth: ${auth})`}`);
  shell.print(`At most ${rateLimit} webhook requests a minute, and ${maxConcurrent} executions at a time.`);
  if (secret !== undefined) shell.print(`Secret, shown once: ${secret}`);
}
