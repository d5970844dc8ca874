import type { StepDefinition } from '#libs/plugin-sdk/src/define-step.js';

import type { KeywordSyntax, NamedSyntax, TriggerSyntax, Vocabulary } from '../language/vocabulary.js';
import { triggerKinds } from '../triggers/registry.js';
import { keywordKinds, librarySyntax, namedKinds, namedSyntax } from './registry.js';

/** Steps of the language that a plug-in must not take the place of. */
const RESERVED: readonly string[] = ['dispatch_agent', 'send_message'];

/** What workflows may be made of: the kinds of steps and triggers, and the steps of plug-ins. Its own injection token. */
export class StepLibrary implements Vocabulary {
  readonly keywords: readonly KeywordSyntax[] = keywordKinds;
  readonly triggers: readonly TriggerSyntax[] = triggerKinds;
  readonly named: ReadonlyMap<string, NamedSyntax>;

  /**
   * @param sources of the events that integrations receive.
   * @throws Error if two steps have one name, or one has a name that the language keeps for itself.
   */
  constructor(
    steps: readonly StepDefinition[],
    readonly sources: readonly string[] = [],
  ) {
    const named = new Map(namedKinds.map((kind) => [kind.name, namedSyntax(kind)]));
    for (const step of steps) {
      if (named.has(step.name) || RESERVED.includes(step.name))
        throw new Error(`There are two steps named "${step.name}". Rename the one of your plug-in.`);
      named.set(step.name, librarySyntax(step));
    }
    this.named = named;
  }
}
