import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';

/** A body of these types is the text of a workflow, as it is. */
const YAML_TYPES = ['text/yaml', 'application/yaml', 'text/x-yaml', 'application/x-yaml'];

/** Lets `curl --data-binary @workflow.yaml -H 'Content-Type: text/yaml'` work. */
@Injectable()
export class YamlBody implements OnModuleInit {
  constructor(@Inject(HttpAdapterHost) private readonly host: HttpAdapterHost) {}

  onModuleInit(): void {
    const adapter = this.host.httpAdapter as HttpAdapterHost['httpAdapter'] | undefined;
    adapter
      ?.getInstance<FastifyInstance>()
      .addContentTypeParser(YAML_TYPES, { parseAs: 'string' }, (_, body, done) => done(null, body));
  }
}
