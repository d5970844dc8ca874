import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';

import { withDefinitions } from '#libs/events/src/shapes/named-shapes.js';

type Paths = OpenAPIObject['paths'];
type Operation = NonNullable<Paths[string]['get']> & { 'x-public'?: boolean; 'x-roles'?: readonly string[] };

const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options'] as const;
const BEARER = 'token';

/** Routes that are not Nest's, told by those who serve them. */
export interface Fragment {
  readonly paths: object;
  readonly schemas?: object;
}

/** The description of the REST API, put together when first asked for: it costs more than a start should. */
export class ApiDocument {
  private build: (() => OpenAPIObject) | undefined;
  private document: OpenAPIObject | undefined;

  describe(application: INestApplication, publicUrl: string, fragments: readonly Fragment[]): void {
    this.build = () => documentOf(application, publicUrl, fragments);
  }

  get value(): OpenAPIObject {
    if (!this.build) throw new Error('the API is described before the application is there');
    return (this.document ??= this.build());
  }
}

function documentOf(application: INestApplication, publicUrl: string, fragments: readonly Fragment[]): OpenAPIObject {
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Millrace')
    .setDescription(
      'Receive webhooks as events, and act on them. Lists are `{ data, nextCursor }`; pass `cursor` to get the next page. A query parameter that a route does not have is refused. Errors are RFC 9457 problem details with a stable `code`. A POST with an `Idempotency-Key` takes effect once; repeats within 24 hours get the same answer.',
    )
    .setVersion('1')
    .addServer(publicUrl)
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'An API token, mr_…' }, BEARER)
    .addSecurityRequirements(BEARER)
    .build();
  const document = SwaggerModule.createDocument(application, config, {
    operationIdFactory: (controller, method) => `${controller.replace(/Controller$/, '')}.${method}`,
  });
  const classes = document.components!.schemas!;
  for (const { paths, schemas } of fragments) {
    Object.assign(document.paths, paths);
    Object.assign(classes, schemas);
  }
  // Shapes stand where they are used, until here.
  const at = '#/components/schemas/';
  const { document: parts, definitions } = withDefinitions({ paths: document.paths, classes }, at);
  const { paths, classes: schemas } = parts as { paths: Paths; classes: typeof classes };
  document.paths = paths;
  document.components!.schemas = { ...schemas, ...(definitions as typeof schemas), Problem: PROBLEM };
  for (const path of Object.values(document.paths))
    for (const method of METHODS) {
      const operation = path[method] as Operation | undefined;
      if (operation) complete(operation);
    }
  return document;
}

function complete(operation: Operation): void {
  if (operation['x-public']) {
    operation.security = [];
    delete operation['x-public'];
  }
  operation.responses = {
    ...operation.responses,
    default: {
      description: 'A problem (RFC 9457): `code` is for programs, `detail` says what to do.',
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    },
  };
}

const PROBLEM = {
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'detail'],
  properties: {
    type: { type: 'string', example: 'about:blank' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string', description: 'Stable, for programs: `rule.not_found`.', example: 'webhook.not_found' },
    detail: { type: 'string', description: 'What to do next.' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['pointer', 'detail'],
        properties: {
          pointer: {
            type: 'string',
            description: 'JSON pointer (RFC 6901) into the body.',
            example: '/conditions/all/0',
          },
          detail: { type: 'string' },
          code: { type: 'string' },
          line: { type: 'integer' },
          column: { type: 'integer' },
        },
      },
    },
    requestId: { type: 'string', description: 'As in the header X-Request-Id and the log of the server.' },
    errorId: { type: 'string', description: "Id of the line in the server's log." },
  },
};
