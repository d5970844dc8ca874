import { agentConfigs, type ConfigOf } from '#libs/events/src/shapes/agents/agent-config-shape.js';
import type { AgentChanges, AgentSettings } from '#libs/events/src/shapes/agents/agent-shape.js';
import { shapeProblems } from '#libs/events/src/shapes/shape-check.js';
import { compileTemplate } from '#libs/expressions/src/template.js';
import { messageOf } from '#libs/kernel/src/errors.js';
import { pointerToken } from '#libs/kernel/src/json.js';
import type { Problems } from '#libs/kernel/src/problems.js';

import { schemaCheck } from '../runtimes/openai/output-check.js';

/** Headers whose values nobody else may know. */
const CREDENTIALS = /^(authorization|proxy-authorization|cookie|x-api-key|api-key)$/i;

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
    if (runtime === 'openai') checkModel(config, problems, urlRefusal);
    for (const [name, value] of Object.entries((config['headers'] ?? {}) as Record<string, unknown>))
      if (CREDENTIALS.test(name) && typeof value === 'string' && !value.includes('${{'))
        problems.add(
          `/config/headers/${pointerToken(name)}`,
          'Must name a secret, such as ${{ secrets.TOKEN }}: config is not encrypted.',
        );
    const command = fine('command');
    if (command !== undefined && !commands.includes(command))
      problems.add(
        '/config/command',
        `Must be a program that the operator allows in MILLRACE_AGENT_COMMANDS: ${commands.join(', ') || 'there is none'}.`,
      );
  };

/** What the schema of `openai` cannot say. */
function checkModel(
  { prompt, system, outputSchema, tools, limits, prices }: Partial<ConfigOf<'openai'>>,
  problems: Problems,
  urlRefusal: Allowed['urlRefusal'],
): void {
  const isFine = (key: string): boolean => problems.isFine(`/config/${key}`);
  if (typeof prompt === 'string' && isFine('prompt')) problems.attempt(() => compileTemplate(prompt, '/config/prompt'));
  if (typeof system === 'string' && system.includes('${{'))
    problems.add('/config/system', 'Must have no templates: what comes from outside goes into the prompt.');
  if (outputSchema && isFine('outputSchema'))
    try {
      schemaCheck(outputSchema);
    } catch (error) {
      problems.add('/config/outputSchema', `Must be a JSON Schema: ${messageOf(error)}.`);
    }
  if (limits?.costCents !== undefined && !prices)
    problems.add('/config/limits/costCents', 'Must be left out without "prices": the cost of a call would be unknown.');
  if (!Array.isArray(tools) || !isFine('tools')) return;
  for (const [index, tool] of tools.entries()) {
    const refusal = 'mcp' in tool ? urlRefusal(tool.mcp) : undefined;
    if (refusal !== undefined) problems.add(`/config/tools/${index}/mcp`, refusal);
  }
}
