import type { RuleDefinition } from '#libs/events/src/shapes/rule-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { remember } from '#libs/kernel/src/remember.js';

import { type CompiledDefinition, compileDefinition } from '../language/definition.js';

/** A rule in force. */
export interface KnownRule {
  readonly id: string;
  readonly orgId: string;
  readonly name: string;
  readonly version: number;
  readonly filter: Pick<RuleDefinition, 'eventSource' | 'eventType'>;
  readonly compiled: CompiledDefinition;
  /** Set where a rule that was saved long ago no longer compiles: its verdict is always this error. */
  readonly broken?: string;
}

/** What ten thousand rules repeat is there once. */
const same = remember((text) => text);

/** Compiles a rule as it was saved. Never throws for a rule that is no longer valid. */
export function knownRule(id: string, orgId: string, version: number, definition: RuleDefinition): KnownRule {
  const { name, eventSource, eventType } = definition;
  const rule = {
    id,
    orgId: same(orgId),
    name,
    version,
    filter: { eventSource: same(eventSource), eventType: same(eventType) },
  };
  try {
    // The linter's expressions are for whoever saves it.
    return { ...rule, compiled: { ...compileDefinition(definition), expressions: [] } };
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    const compiled = compileDefinition({ name: 'broken', eventSource, eventType, actions: [] });
    return { ...rule, compiled, broken: error.message };
  }
}
