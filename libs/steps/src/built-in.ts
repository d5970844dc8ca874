import type { StepDefinition } from '#libs/plugin-sdk/src/define-step.js';

import { fail } from './fail.step.js';
import { http } from './http.step.js';
import { log } from './log.step.js';
import { transform } from './transform.step.js';

/** The steps that come with the platform through the door of plug-ins. Those that append to the log are in `libs/workflows`. */
export const builtInSteps: readonly StepDefinition[] = [http, transform, fail, log] as readonly StepDefinition[];
