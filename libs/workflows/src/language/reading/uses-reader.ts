import type { TObject } from '@sinclair/typebox';

import type { CompiledExpression } from '#libs/expressions/src/compile.js';
import { isObject, type Json, pointerToken } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';
import { isPlain, referencesOf } from '#libs/vocabulary/src/vocabulary.js';

import type { RetryPolicy, StepInput, UsesFields } from '../definition.js';
import { emptyTemplate } from '../expressions.js';
import { durationOf, isOpen } from '../literals.js';
import { visibleToEffect, visibleToRetry } from '../scope-schema.js';
import { workflowProblems } from '../source-problems.js';
import type { NamedSyntax, RawObject, Reading, Vocabulary } from '../vocabulary.js';

export const DEFAULT_RETRY: RetryPolicy = {
  maxAttempts: 3,
  delayMs: 10_000,
  backoff: 'exponential',
  maxDelayMs: 300_000,
  jitter: true,
  when: undefined,
  exceptWhen: undefined,
};

/**
 * Reads a step with `uses`: what it names exists, and takes what `with` gives.
 * @param fits whether the step has the keys that it must have, and no others.
 */
export function readUses(
  raw: RawObject,
  reading: Reading,
  fits: boolean,
  named: Vocabulary['named'],
): (UsesFields & { readonly kind: string }) | undefined {
  const { uses: name, with: given } = raw;
  if (typeof name !== 'string') return undefined;
  const found = named.get(name);
  if (!found) return unknownStep(name, reading, named);
  const input = readInput(found, given, reading, fits);
  if (isObject(given)) {
    found.check?.(given, `${reading.pointer}/with`, reading.problems);
    for (const [key, kind] of referencesOf(found.definition.inputSchema))
      if (isPlain(given[key]))
        reading.problems.checkReference(kind, given[key], `${reading.pointer}/with/${pointerToken(key)}`);
  }
  const isDetached = isObject(given) && given['detached'] === true;
  const noRetry = isDetached ? 'With "detached" it does not wait for the outcome.' : found.noRetry;
  if (raw['retry'] !== undefined && noRetry !== undefined)
    reading.problems.suspect(() =>
      reading.problems.warn(
        `${reading.pointer}/retry`,
        'workflow.useless_retry',
        `"retry" has no effect on "${name}". ${noRetry} Remove "retry".`,
      ),
    );
  return { kind: found.kind, uses: found.definition, input, retry: readRetry(raw['retry'], reading) };
}

function unknownStep(name: string, { pointer, problems }: Reading, named: Vocabulary['named']): undefined {
  const known = [...named.keys()].sort();
  problems.add(
    `${pointer}/uses`,
    'workflow.unknown_step_kind',
    `There is no step "${name}". ${suggestion(name, known)}Steps: ${known.join(', ')}.`,
  );
}

/** `with` fits the step's schema, but for templates: their values are checked when they are known. */
function readInput(
  { definition, takesSecrets }: NamedSyntax,
  value: unknown,
  reading: Reading,
  fits: boolean,
): StepInput {
  const { problems, expressions: compiler, visible } = reading;
  const schema = definition.inputSchema as TObject;
  const pointer = `${reading.pointer}/with`;
  const given = value ?? {};
  // A step with unknown keys has probably meant one of them: what is missing then is not the point.
  const isUnclear = value === undefined && !fits;
  for (const problem of isUnclear ? [] : workflowProblems(schema, given, pointer, isOpen)) {
    // Where `with` is missing altogether, the step is what to look at.
    const at = value === undefined ? reading.pointer : problem.pointer;
    problems.add(at, problem.code, problem.detail, problem.isKey && value !== undefined);
  }
  const rest: Record<string, Json> = isObject(given) ? { ...(given as Record<string, Json>) } : {};
  const expressions: Record<string, CompiledExpression> = {};
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    if (property.format !== 'jmespath' || typeof rest[key] !== 'string') continue;
    const compiled = compiler.expression(rest[key], `${pointer}/${pointerToken(key)}`, visible);
    if (compiled) expressions[key] = compiled;
    delete rest[key];
  }
  return {
    template: compiler.template(rest, pointer, takesSecrets ? visibleToEffect(visible) : visible) ?? emptyTemplate,
    expressions,
  };
}

function readRetry(value: unknown, { pointer, visible, expressions }: Reading): RetryPolicy | undefined {
  if (!isObject(value)) return undefined;
  const condition = (key: 'when' | 'exceptWhen') =>
    value[key] === undefined
      ? undefined
      : expressions.condition(value[key], `${pointer}/retry/${key}`, visibleToRetry(visible));
  return {
    maxAttempts: typeof value['maxAttempts'] === 'number' ? value['maxAttempts'] : DEFAULT_RETRY.maxAttempts,
    delayMs: durationOf(value['delay']) ?? DEFAULT_RETRY.delayMs,
    backoff: value['backoff'] === 'fixed' ? 'fixed' : 'exponential',
    maxDelayMs: durationOf(value['maxDelay']) ?? DEFAULT_RETRY.maxDelayMs,
    jitter: value['jitter'] !== false,
    when: condition('when'),
    exceptWhen: condition('exceptWhen'),
  };
}
