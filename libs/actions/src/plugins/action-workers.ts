import type { ActionDefinition } from '#libs/plugin-sdk/src/define-action.js';

import { RunAction, type RunActionParts } from './run-action.js';

/** One worker for each action that the plug-ins of this process add. Its own injection token. */
export class ActionWorkers {
  readonly all: readonly RunAction[];

  constructor(actions: Iterable<ActionDefinition>, parts: RunActionParts) {
    this.all = [...actions].map((action) => new RunAction(action, parts));
  }
}
