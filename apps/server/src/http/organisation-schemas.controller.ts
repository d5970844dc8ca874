import { Controller, Get, Inject, Param } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';

import { CurrentCaller } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { offering } from '#libs/vocabulary/src/offered-names.js';
import { VocabularyTable } from '#libs/vocabulary/src/vocabulary.table.js';

import { Schemas } from './schemas.js';

@ApiTags('documents')
@Controller('api/v1/schemas')
export class OrganisationSchemasController {
  constructor(
    @Inject(Schemas) private readonly schemas: Schemas,
    @Inject(VocabularyTable) private readonly known: VocabularyTable,
  ) {}

  @Get(':name')
  @ApiOperation({
    summary: 'Get the JSON Schema of a file format with the names of the organisation',
    description:
      'workflow.json, workflow-test.json and rule.json as at `/schemas/:name`. Editors also complete event types, agents, integrations, trackers, webhooks, workflows and secrets of the organisation.',
  })
  @ApiResponse({ status: 200, description: 'JSON Schema', schema: { type: 'object' } })
  schema(@CurrentCaller() { orgId }: Caller, @Param('name') name: string): object {
    return offering(this.schemas.find(name), this.known.of(orgId)) as object;
  }
}
