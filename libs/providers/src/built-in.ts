import { definePlugin } from '#libs/plugin-sdk/src/define-plugin.js';

import { genericWebhook } from './generic-webhook.js';
import { github } from './github.js';

/** The providers that come with the platform, through the door that everybody uses. */
export const builtInProviders = definePlugin({
  name: 'built-in providers',
  sdk: 1,
  providers: [genericWebhook, github],
});
