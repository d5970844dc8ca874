/**
 * The part of the OpenAPI document that tells of the inbound routes: they stand on Fastify itself, where nothing
 * describes them by itself.
 */
const body = {
  required: true,
  description: 'At most 1 MiB, not compressed. The provider of the integration interprets it.',
  content: {
    'application/json': { schema: {} },
    'application/x-www-form-urlencoded': {
      schema: { type: 'object', description: 'JSON in the field `payload`, or any fields.' },
    },
    'application/x-ndjson': { schema: { type: 'string', description: 'One event a line, at most 1000.' } },
    'application/cloudevents+json': { schema: { type: 'object', description: 'A CloudEvent 1.0.' } },
    'application/cloudevents-batch+json': { schema: { type: 'array', items: { type: 'object' }, maxItems: 1000 } },
  },
};

const receipt = { schema: { $ref: '#/components/schemas/InboundReceipt' } };
const problem = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
});
const wait = { 'Retry-After': { schema: { type: 'integer' }, description: 'Seconds.' } };

const problems = {
  400: problem('Verified, but unreadable: not UTF-8, not JSON, nested deeper than 64 levels, or incomplete.'),
  401: problem('Signature or token missing, malformed, wrong, or its timestamp too old.'),
  403: problem('The source address is not in allowedSources.'),
  404: problem('Not found: unknown, malformed, disabled and deleted addresses all have this answer.'),
  405: problem('The provider of the integration accepts no webhooks; `detail` says what to use instead.'),
  413: problem('Larger than 1 MiB.'),
  415: problem('The content type or encoding is not supported.'),
  429: { ...problem('More requests than the rate limit of the integration allows.'), headers: wait },
  503: { ...problem('Not stored: the log cannot be reached. Send it again.'), headers: wait },
};

const runFields = {
  runId: { type: 'string' },
  url: { type: 'string', description: 'Where the run is shown.' },
};
const answered = {
  allOf: [
    receipt.schema,
    {
      type: 'object',
      required: ['runId', 'url', 'status'],
      properties: {
        ...runFields,
        status: { type: 'string', enum: ['completed', 'failed', 'cancelled', 'skipped'] },
        outputs: { type: 'object', description: 'Of a completed run.' },
        error: { type: 'object', properties: { code: { type: 'string' } }, description: 'Of a failed run.' },
      },
    },
  ],
};

const accepted = {
  200: {
    description: 'Stored, and the run that it started has ended: a workflow answers (`respond: wait`).',
    content: { 'application/json': { schema: answered } },
  },
  202: { description: 'Stored durably, now or (with `duplicate`) before.', content: { 'application/json': receipt } },
  ...problems,
};

const parameter = (name: string, description: string) => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: { type: 'string' },
});

const operation = (operationId: string, summary: string, parameters: readonly object[], responses: object) => ({
  post: { operationId, summary, tags: ['inbound'], 'x-public': true, parameters, requestBody: body, responses },
});

const byId = parameter('id', 'Id of the integration.');

const text = { 'text/plain': { schema: { type: 'string', maxLength: 0 } } };
const chat = {
  200: { description: 'Stored durably; the body is what the chat expects, usually empty.', content: text },
  202: { description: 'The same, where the chat expects a 202.', content: text },
  ...problems,
};

const agentError = {
  type: 'object',
  required: ['success', 'error'],
  properties: {
    success: { type: 'boolean', enum: [false] },
    error: {
      type: 'object',
      required: ['code', 'message'],
      properties: { code: { type: 'string' }, message: { type: 'string' } },
    },
  },
};
const agentAnswers = {
  202: {
    description: 'Stored durably. `GET /agents/{id}/executions/{executionId}` shows its status.',
    content: {
      'application/json': {
        schema: {
          type: 'object',
          required: ['success', 'data'],
          properties: {
            success: { type: 'boolean', enum: [true] },
            data: {
              type: 'object',
              required: ['executionId', 'status'],
              properties: {
                executionId: { type: 'string' },
                status: { type: 'string', enum: ['running'] },
                executionIds: {
                  type: 'array',
                  items: { type: 'string' },
                  description: 'Of several lines or elements: an execution for each.',
                },
              },
            },
          },
        },
      },
    },
  },
  ...Object.fromEntries(
    Object.entries(problems).map(([status, { description, ...more }]) => [
      status,
      { ...more, description, content: { 'application/json': { schema: agentError } } },
    ]),
  ),
};

export const inboundDocument = {
  paths: {
    '/api/v1/webhooks/inbound/{slug}': operation(
      'Inbound.bySlug',
      'Receive a webhook',
      [parameter('slug', '`wh_` and 32 characters, from the integration.')],
      accepted,
    ),
    '/webhooks/{id}': operation('Inbound.byId', 'Receive a webhook by the id of the integration', [byId], accepted),
    '/webhooks/{id}/{provider}': operation(
      'Inbound.byIdAndProvider',
      'Receive a webhook by id and provider',
      [byId, parameter('provider', 'Provider of the integration, such as `github`.')],
      accepted,
    ),
    '/api/communicator/webhook/{id}': operation('Inbound.communicator', 'Receive from a chat', [byId], chat),
    '/api/communicator/botframework/{id}/messages': operation(
      'Inbound.botframework',
      'Receive the activities of a bot',
      [byId],
      chat,
    ),
    '/agents/{id}/webhook': operation(
      'Inbound.agent',
      'Start an execution of an agent',
      [parameter('id', 'Id of an agent whose webhook is enabled.')],
      agentAnswers,
    ),
    '/api/v1/agents/{id}/webhook': operation(
      'Inbound.agentV1',
      'Start an execution of an agent',
      [parameter('id', 'Id of an agent whose webhook is enabled.')],
      agentAnswers,
    ),
    '/api/webhook/{customPath}': operation(
      'Inbound.byCustomPath',
      'Receive a webhook at a custom path',
      [parameter('customPath', '`customPath` of the integration.')],
      {
        200: {
          description: 'Stored durably, now or (with `data.duplicate`) before.',
          content: {
            'application/json': {
              schema: {
                type: 'object',
                required: ['success', 'message', 'data'],
                properties: {
                  success: { type: 'boolean', enum: [true] },
                  message: { type: 'string' },
                  data: { $ref: '#/components/schemas/InboundReceipt' },
                },
              },
            },
          },
        },
        ...Object.fromEntries(
          Object.entries({ 400: 'Refused', 404: 'Path not found', 500: 'Not stored: send again' }).map(
            ([status, description]) => [
              status,
              {
                description,
                content: {
                  'application/json': {
                    schema: {
                      type: 'object',
                      required: ['success', 'message'],
                      properties: { success: { type: 'boolean', enum: [false] }, message: { type: 'string' } },
                    },
                  },
                },
              },
            ],
          ),
        ),
      },
    ),
  },
  schemas: {
    InboundReceipt: {
      type: 'object',
      required: ['eventIds', 'duplicate'],
      properties: {
        eventIds: { type: 'array', items: { type: 'string' }, example: ['evt_01jq5x1d0wkz4s3v2n8m7b6c5a'] },
        duplicate: { type: 'boolean', description: 'All of it was stored before, with these ids.' },
      },
    },
  },
} as const;
