import type { PlatformEvent } from '#libs/events/src/envelope.js';
import type { FailedCondition } from '#libs/events/src/shapes/rule-trial-shape.js';

import type { Trigger } from '../language/definition.js';
import type { TriggerSyntax } from '../language/vocabulary.js';
import type { InboundIntegration } from './inbound-integrations.js';

/** What a trigger makes of an event of a type that it listens to. */
export type TriggerVerdict =
  /** `because`: why it fits although nobody knows for sure; a sentence for people. */
  | { readonly kind: 'fits'; readonly because?: string }
  /** From another source, or about another workflow: not worth a decision. */
  | { readonly kind: 'ignored' }
  /** The first condition that failed; its pointer is below the trigger. */
  | { readonly kind: 'failed'; readonly failed: FailedCondition };

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
  judge?(trigger: Kind, event: PlatformEvent, about: JudgedFor): TriggerVerdict;
}

/** For whom an event is judged, and who received it. */
export interface JudgedFor {
  readonly workflowId: string;
  /** `undefined`: no request brought the event. `any`: whichever the trigger means, where that is not known. */
  readonly receiver: InboundIntegration | 'any' | undefined;
}
