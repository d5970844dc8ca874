import { defineProvider } from '#libs/plugin-sdk/src/define-provider.js';

/** An MCP server that is listed among the integrations. Nothing comes in through it. */
export const mcpServer = defineProvider({
  name: 'mcp_server',
  description: 'An MCP server: accepts no webhooks; clients connect to /api/v1/mcp.',
  refusesInbound:
    'An MCP server accepts no webhooks. Connect an MCP client to /api/v1/mcp, or create an integration with another provider to receive webhooks.',
  verify: () => ({ ok: false, reason: 'signature_mismatch' }),
  normalise: () => ({ eventType: 'unknown', events: [] }),
});
