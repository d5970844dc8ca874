const RULE = {
  name: 'rule {n}',
  eventType: 'webhook.received',
  conditions: {
    all: [
      { field: 'data.payload.id', operator: 'equals', value: 'x' },
      { any: [{ expression: 'data.payload.n > `1`' }, { not: { field: 'data.x', operator: 'exists' } }] },
    ],
  },
  actions: [
    {
      type: 'create_issue',
      with: { title: '${{ data.payload.text }}', dedupeKey: '${{ data.payload.id }}', labels: ['a'] },
    },
    { type: 'send_webhook', with: { url: 'https://receiver.invalid/${{ data.payload.text }}', payload: { a: 'b' } } },
  ],
  throttle: { key: '${{ data.payload.id }}', limit: 5, per: '10m' },
};
const EVENT = {
  type: 'webhook.received',
  source: 'fuzz',
  subject: 'x/{n}',
  data: { payload: { id: 'x', n: 2, text: 'a b' } },
};
const WEBHOOK = {
  url: 'https://receiver.invalid/',
  events: ['issue.created', 'pr.*'],
  format: 'platform',
  filter: "data.title == 'x'",
  headers: { 'x-a': 'b' },
  signatureHeader: 'X-Sig',
  timeoutMs: 1_000,
};
const AGENT = {
  name: 'agent {n}',
  runtime: 'http',
  config: { url: 'https://agent.invalid/' },
  webhookEnabled: true,
  auth: 'none',
};
const INTEGRATION = {
  name: 'integration {n}',
  provider: 'generic_webhook',
  secret: 'a secret that is long enough',
  customPath: 'path-{n}',
  allowedSources: ['127.0.0.1'],
  rateLimit: 100,
  dedupeKey: 'id',
  config: {},
};
const ISSUE = { title: 'issue', body: 'text', priority: 'high', labels: ['a', 'b'], assignee: 'x', team: 'y' };
const WORKFLOW =
  'name: known\ntriggers:\n  - { type: event, event: issue.created }\nsteps:\n  - { id: a, uses: log, with: { message: x } }\n';

/** By method and path: what the server accepts. */
export const ACCEPTED_BODIES: Readonly<Record<string, readonly unknown[]>> = {
  'POST /api/v1/rules': [RULE],
  'PUT /api/v1/rules/{id}': [RULE],
  'PATCH /api/v1/rules/{id}': [{ name: 'x {n}', enabled: false }, { conditions: RULE.conditions }],
  'POST /api/v1/rules/test': [
    { rule: RULE, event: { type: 'webhook.received', data: { payload: { id: 'x', n: 2, text: 't' } } } },
  ],
  'POST /api/v1/rules/backtest': [
    { rule: RULE, from: '7d' },
    { rule: RULE, from: 0, to: '2030-01-01T00:00:00Z' },
  ],
  'POST /api/v1/events': [EVENT],
  'POST /api/v1/outbound-webhooks': [
    WEBHOOK,
    { url: WEBHOOK.url, events: ['*'], secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' },
  ],
  'PATCH /api/v1/outbound-webhooks/{id}': [
    WEBHOOK,
    { disabled: true },
    { filter: null },
    { secret: null, graceSeconds: 5 },
  ],
  'POST /api/v1/outbound-webhooks/{id}/recover': [{ since: '2026-01-01T00:00:00Z' }],
  'POST /api/v1/agents': [AGENT],
  'PATCH /api/v1/agents/{id}': [{ name: 'x {n}' }, { webhookEnabled: true }, AGENT],
  'POST /api/v1/integrations': [INTEGRATION, { name: 'github {n}', provider: 'github', config: { repository: 'a/b' } }],
  'PATCH /api/v1/integrations/{id}': [
    { name: 'y' },
    { customPath: 'other-{n}' },
    { secret: 'another long enough secret', graceSeconds: 60 },
  ],
  'POST /api/v1/integrations/{id}/verify': [
    { headers: { 'content-type': 'application/json' }, body: { id: 7 } },
    { headers: { 'content-type': 'application/json' }, body: '{"id":7615917337495251231}', sourceIp: '127.0.0.1' },
  ],
  'POST /api/v1/issues': [ISSUE],
  'PATCH /api/v1/issues/{id}': [{ status: 'closed' }, ISSUE],
  'POST /api/v1/issues/{id}/comments': [{ body: 'text' }],
  'POST /api/v1/event-types': [
    { type: 'fuzz.happened', description: 'x', schema: { type: 'object' }, example: { a: 1 } },
  ],
  'PUT /api/v1/event-types/{type}': [{ description: 'x {n}', schema: { type: 'object' }, example: {} }],
  'PUT /api/v1/secrets/{name}': [{ value: 'a long enough value' }],
  'POST /api/v1/tokens': [{ name: 'token {n}', roles: ['auditor'], expiresAt: '2030-01-01T00:00:00Z' }],
  'PUT /api/v1/workflows/{name}': [{ source: WORKFLOW }],
  'POST /api/v1/workflows/validate': [{ source: WORKFLOW }],
  'POST /api/v1/workflows/{name}/activate': [{ version: 1 }],
  'POST /api/v1/workflows/{name}/runs': [{ inputs: { a: 1 } }],
};
