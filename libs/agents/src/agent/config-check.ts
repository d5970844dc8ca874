import { agentConfigs } from '#libs/events/src/shapes/agents/agent-config-shape.js';
import type { AgentChanges, AgentSettings } from '#libs/events/src/shapes/agents/agent-shape.js';
import { shapeProblems } from '#libs/events/src/shapes/shape-check.js';
import type { Problems } from '#libs/kernel/src/problems.js';

/** What the operator allows. */
export interface Allowed {
  /** Why a URL may not be called. */
  readonly urlRefusal: (url: string) => string | undefined;
  /** Programs that may be run. */
  readonly commands: readonly string[];
}

/** What there is to check of an agent beyond its shape: what its runtime wants of `config`, and what the operator allows. */
export const checkConfig =
  (current: Partial<AgentSettings>, { urlRefusal, commands }: Allowed) =>
  (given: AgentChanges, problems: Problems): void => {
    const runtime = given.runtime === undefined ? current.runtime : problems.part(given, 'runtime');
    const config = given.config === undefined ? (current.config ?? {}) : problems.part(given, 'config');
    if (!runtime || !config) return;
    const options = { prefix: 'agent', pointer: '/config', hidesValues: true };
    problems.addAll(shapeProblems(agentConfigs[runtime], config, options));
    const fine = (key: string): string | undefined => {
      const value = config[key];
      return typeof value === 'string' && problems.isFine(`/config/${key}`) ? value : undefined;
    };
    for (const key of ['url', 'baseUrl']) {
      const url = fine(key);
      const refusal = url === undefined ? undefined : urlRefusal(url);
      if (refusal !== undefined) problems.add(`/config/${key}`, refusal);
    }
    const command = fine('command');
    if (command !== undefined && !commands.includes(command))
      problems.add(
        '/config/command',
        `Must be a program that the operator allows in MILLRACE_AGENT_COMMANDS: ${commands.join(', ') || 'there is none'}.`,
      );
  };
