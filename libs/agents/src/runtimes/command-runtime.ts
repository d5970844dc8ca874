import type { ConfigOf } from '#libs/events/src/shapes/agents/agent-config-shape.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { parseDuration } from '#libs/kernel/src/time/durations.js';

import { failed, finished, timedOut } from '../engine/end-drafts.js';
import type { ExecutionDraft } from '../engine/execution-state.js';
import { jsonIn } from './http-runtime.js';
import { type CommandEnd, runCommand } from './run-command.js';
import { MAX_OUTPUT_BYTES, type Runtime, type Turn } from './runtime.js';

const DEFAULT_TIMEOUT = '1m';
const DEFAULT_MEMORY_MB = 512;

type Config = ConfigOf<'command'>;

/**
 * A program of this machine, from the list that its operator allows: JSON on stdin, JSON on stdout. When the server is
 * killed, the next one ends what is left of the program, and starts it again with the same execution id.
 */
export const commandRuntime: Runtime = {
  timeLimit: (config) => parseDuration((config as Config).timeout ?? DEFAULT_TIMEOUT),

  decide(turn) {
    const { execution, settings, world, now } = turn;
    const { command } = settings.config as Config;
    if (!world.agentCommands.includes(command)) {
      const error = { code: 'agent.command_refused', message: notAllowed(command) };
      return { drafts: [failed(execution, error, now)] };
    }
    const { executionId } = execution.start;
    return {
      drafts: execution.isCalling ? [] : [{ type: 'agent.attempt_started', data: { executionId, attempt: 1 } }],
      call: async (signal) => [ended(turn, await start(turn, signal))],
    };
  },
};

export const notAllowed = (command: string): string =>
  `The program "${command}" is not allowed. The operator lists allowed programs in MILLRACE_AGENT_COMMANDS.`;

function start({ execution, settings, input, world }: Turn, signal: AbortSignal): Promise<CommandEnd> {
  const { command, args = [], memoryMb = DEFAULT_MEMORY_MB } = settings.config as Config;
  const { executionId, agentId, agent, trigger, eventId } = execution.start;
  const given = { executionId, agentId, agent, trigger, eventId: eventId || null, input: input ?? null };
  return runCommand({
    id: executionId,
    command,
    args,
    input: stringifyJson(given),
    timeoutMs: Math.max(1, execution.deadline!.getTime() - world.clock.now().getTime()),
    memoryBytes: memoryMb * 1024 * 1024,
    maxBytes: MAX_OUTPUT_BYTES,
    signal,
  });
}

function ended({ execution, world }: Turn, end: CommandEnd): ExecutionDraft {
  const now = world.clock.now();
  const fail = (code: string, message: string) => failed(execution, { code: `agent.${code}`, message }, now);
  switch (end.kind) {
    case 'timeout':
      return timedOut(execution, now);
    case 'memory':
      return fail('memory_exceeded', 'The program was stopped: it used more memory than its limit.');
    case 'output':
      return fail('output_too_large', `The program was stopped: it wrote more than ${MAX_OUTPUT_BYTES} bytes.`);
    case 'not_started':
      return fail('command_not_started', `The program cannot be started (${end.code}).`);
    case 'exited': {
      const { code, signal, stdout, stderr } = end;
      if (code !== 0) {
        const how = code === null ? `was ended by ${signal}` : `ended with code ${code}`;
        return fail('command_failed', `The program ${how}${stderr === '' ? '.' : `: ${stderr}`}`);
      }
      const output = jsonIn(stdout);
      return output === undefined
        ? fail('invalid_output', 'The program wrote something to stdout that is not JSON.')
        : finished(execution, output, now);
    }
  }
}
