import type { CompiledDefinition } from '../language/definition.js';
import type { Failure } from '../language/condition.js';

/** Whether a rule acts at this hour: what holds it back otherwise. */
export const outsideHours = ({ window }: Pick<CompiledDefinition, 'window'>, time: Date): Failure | undefined =>
  window && !window.isOpen(time)
    ? {
        pointer: '/window',
        condition: `acts ${window.text}`,
        field: 'time at which the event was recorded',
        actual: window.at(time),
        expected: window.text,
      }
    : undefined;

/** The rule was switched off, or archived, while it waited for the end of a burst. */
export const heldByDisabling: Failure = {
  pointer: '',
  condition: 'the rule is enabled when the burst ends',
  field: 'enabled',
  actual: false,
  expected: true,
};
