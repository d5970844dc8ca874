import type { StepDefinition } from '#libs/plugin-sdk/src/define-step.js';

/** The steps that workflows may use: the built-in ones and those of plug-ins. Its own injection token. */
export class StepLibrary {
  private readonly byName = new Map<string, StepDefinition>();

  /** @throws Error if two steps have one name, or one takes a name of the engine's own. */
  constructor(steps: readonly StepDefinition[]) {
    for (const step of steps) {
      if (this.byName.has(step.name) || RESERVED.has(step.name))
        throw new Error(`There are two steps named "${step.name}": give the one of your plug-in another name.`);
      this.byName.set(step.name, step);
    }
  }

  get(name: string): StepDefinition | undefined {
    return this.byName.get(name);
  }

  all(): readonly StepDefinition[] {
    return [...this.byName.values()];
  }
}

/** The engine's own steps, and the names that are kept for it. */
const RESERVED: ReadonlySet<string> = new Set([
  'emit',
  'redeliver_webhook',
  'send_webhook',
  'dispatch_agent',
  'create_issue',
  'send_message',
  'set',
  'workflow',
]);
