import { definePlugin } from '#libs/plugin-sdk/src/define-plugin.js';

import { botframework } from './botframework/botframework.js';
import { cloudevents } from './cloudevents.js';
import { genericWebhook } from './generic-webhook.js';
import { github } from './github/github.js';
import { gitlab } from './gitlab/gitlab.js';
import { mcpServer } from './mcp-server.js';
import { builtInPresets } from './presets/built-in-presets.js';
import { slack } from './slack/slack.js';
import { standardWebhooks } from './standard-webhooks.js';

/** The providers that come with the platform, through the door that everybody uses. */
export const builtInProviders = definePlugin({
  name: 'built-in providers',
  sdk: 1,
  providers: [genericWebhook, github, gitlab, slack, botframework, standardWebhooks, cloudevents, mcpServer],
  presets: builtInPresets,
});
