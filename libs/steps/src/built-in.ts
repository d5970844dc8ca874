import type { StepDefinition } from '#libs/plugin-sdk/src/define-step.js';

import { http } from './http.js';
import { log } from './log.js';
import { transform } from './transform.js';

/** The steps that come with the platform. `emit` and `redeliver_webhook` are the engine's own: they append to the log. */
export const builtInSteps: readonly StepDefinition[] = [http, transform, log] as readonly StepDefinition[];
