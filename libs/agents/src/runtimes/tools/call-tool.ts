import { platformEvent } from '#libs/event-store/src/event-store.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import type { ConfigOf } from '#libs/events/src/shapes/agents/agent-config-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { failed } from '../../engine/end-drafts.js';
import type { ExecutionDraft } from '../../engine/execution-state.js';
import { MAX_OUTPUT_BYTES, type Turn } from '../runtime.js';
import { withSecrets } from '../secret-references.js';
import { listedTools } from './list-tools.js';
import { McpError, McpSession } from './mcp-client.js';
import { isServer, type McpConfig, type OfferedTool } from './offered-tools.js';

type Called = DataOf<'agent.tool_called'>;

/** Asks every server for its tools. */
export async function listTools(turn: Turn, signal: AbortSignal): Promise<readonly ExecutionDraft[]> {
  const { tools = [] } = turn.settings.config as ConfigOf<'openai'>;
  const { executionId } = turn.execution.start;
  const builtIn = tools.flatMap((tool) => (isServer(tool) ? [] : [tool.builtin]));
  try {
    const found = [];
    for (const [index, tool] of tools.entries())
      if (isServer(tool))
        found.push({ index, tools: await inSession(turn, tool, signal, (session) => session.tools()) });
    return [{ type: 'agent.tools_listed', data: { executionId, tools: [...listedTools(found, builtIn)] } }];
  } catch (error) {
    if (!(error instanceof McpError || error instanceof Rejected)) throw error;
    const code = error instanceof Rejected ? error.code : 'agent.tools_unreachable';
    return [failed(turn.execution, { code, message: error.message }, turn.world.clock.now())];
  }
}

/** Calls a tool of a server, or searches events. The model reads what went wrong, unless nobody knows what became of it. */
export async function callTool(
  turn: Turn,
  tool: OfferedTool,
  { executionId, call, toolCallId, tool: name, arguments: args, effectId, isRepeatable }: Called,
  signal: AbortSignal,
): Promise<readonly ExecutionDraft[]> {
  const answered = (output: unknown, isError: boolean): ExecutionDraft => ({
    type: 'agent.tool_answered',
    data: { executionId, call, toolCallId, tool: name, output, isError },
  });
  const { listed } = tool;
  if (!listed) return [answered(await foundEvents(turn, args as Search), false)];
  const server = (turn.settings.config as ConfigOf<'openai'>).tools![listed.server] as McpConfig;
  try {
    const result = await inSession(turn, server, signal, (session) =>
      session.call(listed.serverName, args, effectId, listed.inputSchema),
    );
    return [answered(outputOf(result), result['isError'] === true)];
  } catch (error) {
    if (error instanceof Rejected) return [answered(error.message, true)];
    if (!(error instanceof McpError)) throw error;
    // The answer is lost, not the call: nothing is recorded, and the call counts as one whose process died.
    return error.wasSent && !isRepeatable ? [] : [answered(error.message, true)];
  }
}

async function inSession<T>(
  { execution, orgId, world }: Turn,
  { mcp: url, headers = {} }: McpConfig,
  signal: AbortSignal,
  work: (session: McpSession) => Promise<T>,
): Promise<T> {
  const { texts, mask } = await withSecrets(headers, orgId, world.secretValues);
  const timeoutMs = Math.max(1, execution.deadline!.getTime() - world.clock.now().getTime());
  const { egress } = world;
  const server = { egress, url, headers: texts, timeoutMs, maxBytes: MAX_OUTPUT_BYTES, signal };
  try {
    const session = await McpSession.open(server);
    try {
      return mask.value(await work(session));
    } finally {
      session.close();
    }
  } catch (error) {
    // A server may repeat what it was sent.
    throw error instanceof McpError ? new McpError(mask.text(error.message), error.wasSent) : error;
  }
}

/** What is structured, or else the texts. */
function outputOf({ structuredContent, content }: Readonly<Record<string, unknown>>): unknown {
  if (structuredContent !== undefined) return structuredContent;
  const parts = (Array.isArray(content) ? content : []) as readonly { type?: unknown; text?: unknown }[];
  return parts.every(({ type }) => type === 'text') ? parts.map(({ text }) => String(text)).join('\n') : parts;
}

interface Search {
  readonly types?: readonly string[];
  readonly subject?: string;
  readonly limit?: number;
}

async function foundEvents({ orgId, world }: Turn, { types = [], subject, limit = 10 }: Search): Promise<unknown> {
  const about = subject === undefined ? {} : { subject };
  const { events } = await world.events.page({ orgId, types, ...about, order: 'desc', limit });
  return events.map(platformEvent);
}
