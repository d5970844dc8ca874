import { Controller, Get, Inject, Param } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';

import { Answers } from '#libs/access/src/shapes.controller.js';
import { ProviderAnswer, type PresetAnswer, ProviderList } from '#libs/events/src/shapes/provider-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import type { JsonObject } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';
import type { Provider } from '#libs/plugin-sdk/src/define-provider.js';
import { Plugins, PRESETS_OF } from '#libs/plugin-sdk/src/loading/plugins.js';
import type { Preset } from '#libs/plugin-sdk/src/scheme/define-preset.js';

/** What integrations can be made of: providers, and the senders that are known by name, each with its settings as a schema. */
@ApiTags('integrations')
@Controller('api/v1/providers')
export class ProviderController {
  constructor(@Inject(Plugins) private readonly plugins: Plugins) {}

  @Get()
  @ApiOperation({
    summary: 'List providers and presets',
    description: 'With their settings, and the steps on the screen of the sender.',
  })
  @Answers(ProviderList)
  list(): ProviderList {
    return { data: [...this.plugins.providers.values()].map((provider) => this.shown(provider)) };
  }

  @Get(':name')
  @ApiOperation({ summary: 'One provider' })
  @Answers(ProviderAnswer)
  view(@Param('name') name: string): ProviderAnswer {
    const provider = this.plugins.providers.get(name);
    if (provider) return this.shown(provider);
    const names = [...this.plugins.providers.keys()];
    throw new Rejected(
      'not_found',
      'provider.not_found',
      `There is no provider "${name}". ${suggestion(name, names)}List them to see their names.`,
    );
  }

  private shown(provider: Provider): ProviderAnswer {
    const presets = provider.name === PRESETS_OF ? [...this.plugins.presets.values()] : [];
    return {
      name: provider.name,
      description: provider.description,
      config: schemaOf(provider.config),
      personal: provider.personal?.map(({ subject, fields }) => ({ subject, fields: [...fields] })) ?? null,
      presets: presets.map((preset) => this.presetShown(preset)).sort((a, b) => (a.name < b.name ? -1 : 1)),
    };
  }

  private presetShown(preset: Preset): PresetAnswer {
    const { name, title, docs, group, secret, help, signsUrl = false, unverified = false } = preset;
    const { verify, read, handshake, answer } = preset.declare({});
    return {
      name,
      title,
      docs,
      group,
      verify: verify as unknown as JsonObject,
      read: (read as unknown as JsonObject | undefined) ?? null,
      handshake: (handshake as unknown as JsonObject | undefined) ?? null,
      answer: (answer as unknown as JsonObject | undefined) ?? null,
      settings: schemaOf(this.plugins.providerFor(PRESETS_OF, name)?.config),
      secret: { needed: secret.needed, from: secret.from, form: secret.form ?? null },
      signsUrl,
      unverified,
      help: [...help],
    };
  }
}

function schemaOf(config: Provider['config']): JsonObject {
  const { properties = {}, required = [], secrets = [] } = config ?? {};
  const marked = Object.entries(properties).map(([key, schema]) => [
    key,
    secrets.includes(key) ? { ...schema, writeOnly: true } : schema,
  ]);
  return {
    type: 'object',
    properties: Object.fromEntries(marked) as JsonObject,
    required: [...required],
    additionalProperties: false,
  };
}
