import type { DataOf } from '#libs/events/src/catalogue.js';
import type { ConfigOf } from '#libs/events/src/shapes/agents/agent-config-shape.js';
import { globMatcher } from '#libs/events/src/patterns.js';

import { type BuiltInTool, builtInTools } from './built-in-tools.js';

export type ListedTool = DataOf<'agent.tools_listed'>['tools'][number];
type ToolConfig = NonNullable<ConfigOf<'openai'>['tools']>[number];
export type McpConfig = Extract<ToolConfig, { mcp: string }>;
export const isServer = (tool: ToolConfig): tool is McpConfig => 'mcp' in tool;
export type Policy = 'allow' | 'ask' | 'deny';

/** A tool that the model may ask for. */
export interface OfferedTool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: unknown;
  readonly policy: Policy;
  /** It may be called again where nobody knows what became of a call. */
  readonly isRepeatable: boolean;
  readonly builtIn?: BuiltInTool;
  readonly listed?: ListedTool;
}

/** All tools that are not denied. */
export function offeredTools(
  tools: readonly ToolConfig[] = [],
  listed: readonly ListedTool[] = [],
): readonly OfferedTool[] {
  const builtIn = tools.flatMap((tool): OfferedTool[] => {
    if (!('builtin' in tool)) return [];
    const { description, inputSchema, request } = builtInTools[tool.builtin];
    const policy = tool.policy ?? 'ask';
    const offered = { name: tool.builtin, description, inputSchema, policy, isRepeatable: request === undefined };
    return [{ ...offered, builtIn: builtInTools[tool.builtin] }];
  });
  const fromServers = listed.flatMap((one): OfferedTool[] => {
    const server = tools[one.server];
    if (!server || !('mcp' in server)) return [];
    const { name, description, inputSchema } = one;
    const isRepeatable = server.trusted === true && (one.readOnly || one.idempotent);
    return [{ name, description, inputSchema, policy: policyOf(server, one), isRepeatable, listed: one }];
  });
  return [...builtIn, ...fromServers].filter(({ policy }) => policy !== 'deny');
}

/** Asks, unless the tool is denied, or allowed and only reads, as a server says that is trusted. */
function policyOf(
  { trusted, allow = [], ask = [], deny = [] }: McpConfig,
  { serverName, readOnly }: ListedTool,
): Policy {
  if (names(deny, serverName)) return 'deny';
  if (names(ask, serverName)) return 'ask';
  return names(allow, serverName) && trusted === true && readOnly ? 'allow' : 'ask';
}

const names = (patterns: readonly string[], name: string): boolean =>
  patterns.some((pattern) => globMatcher(pattern)(name));
