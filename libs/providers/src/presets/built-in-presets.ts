import type { Preset } from '#libs/plugin-sdk/src/scheme/define-preset.js';

import { businessPresets } from './business.js';
import { cloudPresets } from './cloud.js';
import { codePresets } from './code.js';
import { messagingPresets } from './messaging.js';
import { monitoringPresets } from './monitoring.js';
import { paymentPresets } from './payments.js';
import { planningPresets } from './planning.js';

/** Senders that are known by name. */
export const builtInPresets: readonly Preset[] = [
  ...codePresets,
  ...planningPresets,
  ...monitoringPresets,
  ...paymentPresets,
  ...messagingPresets,
  ...businessPresets,
  ...cloudPresets,
];
