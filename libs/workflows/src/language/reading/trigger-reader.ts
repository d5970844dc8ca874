import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { isObject } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';

import type { Trigger } from '../definition.js';
import type { SourceProblems } from '../source-problems.js';
import type { TriggerSyntax, Vocabulary } from '../vocabulary.js';

/** Reads triggers; what is no trigger is left out, and reported. */
export function readTriggers(
  values: readonly unknown[],
  { triggers: kinds, sources }: Pick<Vocabulary, 'triggers' | 'sources'>,
  problems: SourceProblems,
): readonly Trigger[] {
  const keys = new Set<string>();
  const triggers = values.flatMap((value, index) => {
    const pointer = `/triggers/${index}`;
    const kind = kindOf(value, pointer, kinds, problems);
    if (!kind || !problems.fits(kind.shape, value, pointer)) return [];
    const trigger = kind.read(value as Record<string, unknown>, pointer, problems, sources);
    const key = trigger.key && `${trigger.type} ${trigger.key}`;
    if (key !== undefined && keys.has(key))
      problems.add(pointer, 'workflow.bad_value', `Another trigger is the same: ${trigger.key}. Remove one of them.`);
    else if (key !== undefined) keys.add(key);
    return [trigger];
  });
  for (const { name } of kinds.filter(({ isSingle }) => isSingle))
    if (triggers.filter(({ type }) => type === name).length > 1)
      problems.add('/triggers', 'workflow.bad_value', `A workflow must have at most one ${name} trigger.`);
  return triggers;
}

function kindOf(
  value: unknown,
  pointer: string,
  kinds: readonly TriggerSyntax[],
  problems: SourceProblems,
): TriggerSyntax | undefined {
  if (!isObject(value)) {
    problems.add(pointer, 'workflow.bad_value', 'A trigger must be an object with a "type".');
    return undefined;
  }
  const { type } = value;
  const names = kinds.map(({ name }) => name);
  const allowed = `Allowed: ${names.join(', ')}.`;
  const kind = kinds.find(({ name }) => name === type);
  if (kind) return kind;
  const written = typeof type === 'string' ? type : stringifyJson(type);
  if (type === undefined) problems.add(pointer, 'workflow.missing_key', `"type" is required. ${allowed}`);
  else
    problems.add(
      `${pointer}/type`,
      'workflow.unknown_trigger',
      `There is no trigger type "${written}". ${suggestion(written, names)}${allowed}`,
    );
  return undefined;
}
