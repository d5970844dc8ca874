import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { Controller, Get, Inject, Param, Res } from '@nestjs/common';
import { ApiExcludeEndpoint, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';

import { Public } from '#libs/access/src/caller.controller.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { ApiDocument } from './openapi.adapter.js';
import { Schemas } from './schemas.js';

/** What the page of the API loads. All of it comes from here, so the page works without the internet. */
const ASSETS: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
};
const JSON_TYPE = 'application/json; charset=utf-8';
const HTML = 'text/html; charset=utf-8';
/** Swagger UI sets styles on elements; scripts come from files alone. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";

const page = (title: string, head: string, body: string): string =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>${head}</head><body>${body}</body></html>`;

const DOCS = page(
  'Millrace API',
  '<link rel="stylesheet" href="/docs/swagger-ui.css">',
  '<div id="api"></div><script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script>',
);
const START =
  "SwaggerUIBundle({ url: '/api/v1/openapi.json', dom_id: '#api', deepLinking: true, persistAuthorization: false, validatorUrl: null });";
const HOME = page(
  'Millrace',
  '<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}</style>',
  '<h1>Millrace</h1><p>The server is running. Its REST API is described at <a href="/docs">/docs</a>; <a href="/readyz">/readyz</a> says whether it is ready.</p>',
);

@ApiTags('documents')
@Public()
@Controller()
export class DocumentsController {
  private readonly held = new Map<string, Buffer>();

  constructor(
    @Inject(ApiDocument) private readonly api: ApiDocument,
    @Inject(Schemas) private readonly schemas: Schemas,
  ) {}

  @Get()
  @ApiExcludeEndpoint()
  home(@Res() reply: FastifyReply): void {
    secured(reply).type(HTML).send(HOME);
  }

  @Get('api/v1/openapi.json')
  @ApiOperation({ summary: 'This document' })
  @ApiResponse({ status: 200, description: 'OpenAPI 3.1', schema: { type: 'object' } })
  document(@Res() reply: FastifyReply): void {
    reply.type(JSON_TYPE).send(this.bytes('openapi.json', () => stringifyJson(this.api.value)));
  }

  @Get('docs')
  @ApiExcludeEndpoint()
  docs(@Res() reply: FastifyReply): void {
    secured(reply).type(HTML).send(DOCS);
  }

  @Get('docs/:file')
  @ApiExcludeEndpoint()
  asset(@Param('file') file: string, @Res() reply: FastifyReply): void {
    if (file === '') {
      this.docs(reply);
      return;
    }
    if (file === 'start.js') {
      secured(reply).type('text/javascript; charset=utf-8').send(START);
      return;
    }
    const type = Object.hasOwn(ASSETS, file) ? ASSETS[file] : undefined;
    if (type === undefined)
      throw new Rejected('not_found', 'route.not_found', `/docs/${file} does not exist. Open /docs.`);
    // By this name @fastify/swagger-ui is installed: the same files, without the telemetry of the original.
    const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/static/swagger-ui.css'));
    secured(reply)
      .type(type)
      .header('cache-control', 'public, max-age=3600')
      .send(this.bytes(file, () => readFileSync(join(folder, file))));
  }

  @Get('schemas/:name')
  @ApiOperation({ summary: 'Get the JSON Schema of a file format: workflow.json, workflow-test.json, rule.json' })
  @ApiResponse({ status: 200, description: 'JSON Schema', schema: { type: 'object' } })
  schema(@Param('name') name: string, @Res() reply: FastifyReply): void {
    const schema = this.schemas.find(name);
    reply.type(JSON_TYPE).send(this.bytes(name, () => stringifyJson(schema)));
  }

  /** Made at the first request and shared by all answers: a thousand of them under way hold it once. */
  private bytes(name: string, make: () => string | Buffer): Buffer {
    let bytes = this.held.get(name);
    if (!bytes) this.held.set(name, (bytes = Buffer.from(make() as string)));
    return bytes;
  }
}

const secured = (reply: FastifyReply): FastifyReply =>
  reply
    .header('content-security-policy', POLICY)
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer');
