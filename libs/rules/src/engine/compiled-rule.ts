import type { RuleDefinition } from '#libs/events/src/shapes/rule-shape.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { remember } from '#libs/kernel/src/remember.js';

import { type CompiledDefinition, compileDefinition } from '../language/definition.js';

/** A saved rule, compiled. */
export interface CompiledRule {
  readonly id: string;
  readonly orgId: string;
  readonly name: string;
  readonly version: number;
  readonly filter: Pick<RuleDefinition, 'eventSource' | 'eventType'>;
  readonly compiled: CompiledDefinition;
  /** Where a rule that was saved long ago no longer compiles: its verdict is always this error. */
  readonly broken?: string;
}

/** What ten thousand rules repeat is kept once. */
const interned = remember((text) => text);

/** Compiles a rule as it was saved. Never throws for a rule that is no longer valid. */
export function compileRule(id: string, orgId: string, version: number, definition: RuleDefinition): CompiledRule {
  const { name, eventSource, eventType } = definition;
  const rule = {
    id,
    orgId: interned(orgId),
    name,
    version,
    filter: { eventSource: interned(eventSource), eventType: interned(eventType) },
  };
  try {
    // The linter's expressions are for the answer to a save.
    return { ...rule, compiled: { ...compileDefinition(definition), expressions: [] } };
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    const compiled = compileDefinition({ name: 'broken', eventSource, eventType, actions: [] });
    return { ...rule, compiled, broken: error.message };
  }
}
