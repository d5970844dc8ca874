import type { PlatformEvent } from '#libs/events/src/envelope.js';

import type { Trigger } from '../language/definition.js';
import type { TriggerSyntax } from '../language/vocabulary.js';

/**
 * THE CONTRACT OF A TRIGGER KIND: one file says how it is written, read and checked, and which events start a run; one line
 * of `registry.ts` lists it. The grammar, the editors' schema and the documentation table follow from it.
 */
export interface TriggerKind<Kind extends Trigger = Trigger> extends TriggerSyntax {
  /** Whether events of this type may start a run; without it no event does. */
  listensTo?(trigger: Kind, type: string): boolean;
  /**
   * Whether an event of such a type starts a run of the workflow.
   * @throws Rejected `expression.too_costly`
   */
  fits?(trigger: Kind, event: PlatformEvent, workflowId: string): boolean;
  /** Why such an event starts a run although nobody knows whether it fits; `undefined` where that is known. */
  doubt?(trigger: Kind, event: PlatformEvent): string | undefined;
}
