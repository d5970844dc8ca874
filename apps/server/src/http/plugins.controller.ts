import { Controller, Get, Inject } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiResponse, ApiTags } from '@nestjs/swagger';

import type { Plugin } from '#libs/plugin-sdk/src/define-plugin.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';

class PluginAnswer {
  @ApiProperty({ description: 'Of the package; `built-in …` for those that come with the server.' }) name!: string;
  @ApiProperty({ type: [String], description: 'Providers.' }) providers!: readonly string[];
  @ApiProperty({ type: [String], description: 'Presets for generic_webhook.' })
  presets!: readonly string[];
  @ApiProperty({ type: [String], description: 'Workflow steps.' }) steps!: readonly string[];
  @ApiProperty({ type: [String], description: 'Rule actions.' }) actions!: readonly string[];
}

class PluginPage {
  @ApiProperty({ type: [PluginAnswer] }) data!: readonly PluginAnswer[];
  @ApiProperty({ type: String, nullable: true }) nextCursor!: null;
}

@ApiTags('operation')
@Controller('api/v1/plugins')
export class PluginsController {
  constructor(@Inject(Plugins) private readonly plugins: Plugins) {}

  @Get()
  @ApiOperation({ summary: 'List plug-ins and what each adds' })
  @ApiResponse({ status: 200, type: PluginPage })
  list(): PluginPage {
    return { data: this.plugins.plugins.map(contentsOf), nextCursor: null };
  }
}

/** What a plug-in adds, by name. */
export const contentsOf = ({ name, providers, presets, steps, actions }: Plugin): PluginAnswer => ({
  name,
  providers: namesOf(providers),
  presets: namesOf(presets),
  steps: namesOf(steps),
  actions: namesOf(actions),
});

const namesOf = (things: readonly { readonly name: string }[] = []): readonly string[] =>
  things.map(({ name }) => name);
