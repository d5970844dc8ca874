import type { ExecutionAnswer, ExecutionDetail } from '#libs/events/src/shapes/agents/execution-shape.js';
import { parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { UsageError } from '../failures.js';
import type { Given, Verb } from '../nouns/verb-table.js';
import { all } from '../pages.js';
import { nextLook } from '../run/next-look.js';
import type { Shell } from '../shell.js';
import { agentNamed, pathOf } from './agent-verbs.js';

const MOVING = ['pending', 'running'];

/** What `millrace agent` does with executions. */
export const executionVerbs: readonly Verb[] = [
  {
    usage: 'run <agent>',
    does: 'start an execution and wait for its end; the exit code is 1 if it does not complete',
    options: [
      ['--input <json>', 'its input: JSON, or else text'],
      ['--detach', 'do not wait'],
    ],
    run: start,
  },
  {
    usage: 'executions <agent> [execution]',
    does: 'list the executions of an agent, newest first, or show one',
    options: [
      ['--trigger <trigger>', 'webhook, rule, workflow, manual or schedule'],
      ['--status <status>', 'of this status'],
    ],
    run: executions,
  },
  { usage: 'cancel <agent> <execution>', does: 'cancel an execution', run: cancel },
  {
    usage: 'approve <agent> <execution>',
    does: 'approve the call of a tool that an execution waits for',
    options: [
      ['--approval <id>', 'which one; default: the one that waits'],
      ['--comment <text>', 'why'],
      ['--reject', 'reject it instead'],
      ['--result <json>', 'of a call that nobody knows about: what it gave'],
    ],
    run: approve,
  },
];

async function start(shell: Shell, [given]: readonly string[], { input, detach }: Given): Promise<number> {
  const path = `${pathOf(await agentNamed(shell, given!))}/executions`;
  const body = typeof input === 'string' ? { input: jsonOrText(input) } : {};
  let execution = await shell.call<ExecutionDetail>('POST', path, body);
  while (detach !== true && MOVING.includes(execution.status) && !shell.signal.aborted) {
    shell.bar(`${execution.status}: ${execution.steps.at(-1)?.name ?? ''}`);
    await nextLook(shell.signal);
    execution = await shell.call<ExecutionDetail>('GET', `${path}/${execution.id}`);
  }
  shell.bar(undefined);
  show(shell, execution);
  return detach === true || execution.status === 'completed' ? 0 : 1;
}

async function executions(shell: Shell, [given, id]: readonly string[], { trigger, status }: Given): Promise<void> {
  const path = `${pathOf(await agentNamed(shell, given!))}/executions`;
  if (id !== undefined)
    return show(shell, await shell.call<ExecutionDetail>('GET', `${path}/${encodeURIComponent(id)}`));
  const query = new URLSearchParams({
    ...(typeof trigger === 'string' && { trigger }),
    ...(typeof status === 'string' && { status }),
  });
  const found = await all<ExecutionAnswer>(shell, query.size === 0 ? path : `${path}?${query.toString()}`);
  if (shell.json) return shell.print(stringifyJson(found, 2));
  if (shell.quiet) return found.forEach((one) => shell.print(one.id));
  if (found.length === 0) return shell.note('There are no such executions.');
  shell.table(
    ['ID', 'TRIGGER', 'STATUS', 'CREATED', 'MS', 'TOKENS'],
    found.map((one) => [
      one.id,
      one.trigger,
      one.status,
      one.createdAt,
      one.durationMs === null ? '–' : String(one.durationMs),
      one.usage === null ? '–' : String(one.usage.inputTokens + one.usage.outputTokens),
    ]),
  );
}

async function cancel(shell: Shell, [given, id]: readonly string[]): Promise<void> {
  const path = `${pathOf(await agentNamed(shell, given!))}/executions/${encodeURIComponent(id!)}/cancel`;
  show(shell, await shell.call<ExecutionDetail>('POST', path, {}));
}

async function approve(shell: Shell, [given, id]: readonly string[], options: Given): Promise<void> {
  const path = `${pathOf(await agentNamed(shell, given!))}/executions/${encodeURIComponent(id!)}`;
  const { comment, result, reject, approval } = options;
  const which =
    typeof approval === 'string' ? approval : (await shell.call<ExecutionDetail>('GET', path)).approvals[0]?.id;
  if (which === undefined) throw new UsageError(`The execution ${id} waits for no approval.`);
  const vote = {
    decision: reject === true ? 'reject' : 'approve',
    ...(typeof comment === 'string' && { comment }),
    ...(typeof result === 'string' && { result: jsonOrText(result) }),
  };
  show(shell, await shell.call<ExecutionDetail>('POST', `${path}/approvals/${encodeURIComponent(which)}`, vote));
}

function show(shell: Shell, execution: ExecutionDetail): void {
  if (shell.json) return shell.print(stringifyJson(execution, 2));
  const { id, status, output, error, steps, usage, approvals } = execution;
  if (shell.quiet) return shell.print(id);
  shell.print(`${id} is ${status}.`);
  if (error) shell.print(`${error.code}: ${error.message}`);
  if (output !== null) shell.print(`Output: ${stringifyJson(output)}`);
  for (const { tool, arguments: args, reason } of approvals)
    shell.print(`Waits for approval (${reason}): ${tool} ${stringifyJson(args)}`);
  if (usage) {
    const cost = usage.costCents === undefined ? '' : `, ${usage.costCents} cents`;
    shell.print(`Tokens: ${usage.inputTokens} in, ${usage.outputTokens} out${cost}`);
  }
  if (steps.length === 0) return;
  shell.table(
    ['STEP', 'KIND', 'NAME', 'STATUS', 'MS', 'ERROR'],
    steps.map((step) => [
      String(step.number),
      step.kind,
      step.name,
      step.status,
      step.durationMs === null ? '–' : String(step.durationMs),
      step.error?.code ?? '–',
    ]),
  );
}

const jsonOrText = (text: string): unknown => {
  try {
    return parseJson(text);
  } catch {
    return text;
  }
};
