import type { TObject } from '@sinclair/typebox';

import { isEventType } from '#libs/events/src/catalogue.js';
import type { CompiledExpression } from '#libs/expressions/src/compile.js';
import { isObject, type Json, pointerToken } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/nearest.js';
import type { StepDefinition } from '#libs/plugin-sdk/src/define-step.js';

import type { Common, RetryPolicy, Step, StepInput } from './definition.js';
import { emittable, type EngineStep, engineSteps } from './engine-steps.js';
import { emptyTemplate, type Expressions, type Visible } from './expressions-of.js';
import { UNSUPPORTED } from './grammar.js';
import { durationOf, isTemplate } from './literals.js';
import { type Report, workflowProblems } from './report.js';
import type { StepLibrary } from './step-library.js';

type Raw = Record<string, unknown>;

export const DEFAULT_RETRY: RetryPolicy = {
  maxAttempts: 3,
  delayMs: 10_000,
  backoff: 'exponential',
  maxDelayMs: 300_000,
  jitter: true,
};

/** Reads steps that use something: what they name is there, and takes what it is given. */
export class UsesReader {
  constructor(
    private readonly library: StepLibrary,
    private readonly report: Report,
    private readonly expressions: Expressions,
  ) {}

  /** @param fits whether the step has the keys that it should have, and no others. */
  read(raw: Raw, pointer: string, visible: Visible, common: Common, fits: boolean): Step | undefined {
    const name = raw['uses'];
    if (typeof name !== 'string') return undefined;
    const found = engineStepNamed(name) ?? this.library.get(name);
    if (!found) {
      this.unknownStep(name, `${pointer}/uses`);
      return undefined;
    }
    const input = this.input(found.inputSchema as TObject, raw['with'], `${pointer}/with`, pointer, visible, fits);
    if ('kind' in found) {
      if (found.kind === 'emit') this.emitted(raw['with'], `${pointer}/with/type`);
      return { ...common, kind: found.kind, input };
    }
    return found.effects
      ? { ...common, kind: 'effect', uses: found, input, retry: this.retry(raw['retry']) }
      : { ...common, kind: 'pure', uses: found, input };
  }

  private unknownStep(name: string, pointer: string): void {
    const known = [...this.library.all().map((step) => step.name), ...Object.keys(engineSteps)].sort();
    if ((UNSUPPORTED.uses as readonly string[]).includes(name))
      this.report.at(
        pointer,
        'workflow.unsupported',
        `The step "${name}" is not supported yet. Steps: ${known.join(', ')}.`,
      );
    else
      this.report.at(
        pointer,
        'workflow.unknown_step_kind',
        `There is no step "${name}". ${suggestion(name, known)}Steps: ${known.join(', ')}.`,
      );
  }

  /** `with`: fits the step's schema, but for templates, whose values are checked when they are known. */
  private input(
    schema: TObject,
    value: unknown,
    pointer: string,
    step: string,
    visible: Visible,
    fits: boolean,
  ): StepInput {
    const given = value ?? {};
    // A step with keys that nobody knows has probably meant one of them: what is missing then is not the point.
    const unclear = value === undefined && !fits;
    for (const problem of unclear ? [] : workflowProblems(schema, given, pointer)) {
      if (isTemplate(at(given, problem.pointer.slice(pointer.length)))) continue;
      // Where `with` is missing altogether, the step is the place to show.
      this.report.at(
        value === undefined ? step : problem.pointer,
        problem.code,
        problem.detail,
        problem.isKey && value !== undefined,
      );
    }
    const rest: Record<string, Json> = isObject(given) ? { ...(given as Record<string, Json>) } : {};
    const expressions: Record<string, CompiledExpression> = {};
    for (const [key, property] of Object.entries(schema.properties ?? {})) {
      if (property.format !== 'jmespath' || typeof rest[key] !== 'string') continue;
      const compiled = this.expressions.expression(rest[key], `${pointer}/${pointerToken(key)}`, visible);
      if (compiled) expressions[key] = compiled;
      delete rest[key];
    }
    return { template: this.expressions.template(rest, pointer, visible) ?? emptyTemplate, expressions };
  }

  private emitted(value: unknown, pointer: string): void {
    const type = isObject(value) ? value['type'] : undefined;
    if (typeof type !== 'string' || isTemplate(type)) return;
    const allowed = emittable();
    if (!isEventType(type))
      this.report.at(
        pointer,
        'workflow.unknown_event_type',
        `There is no event type "${type}". ${suggestion(type, allowed)}Types that may be emitted: ${allowed.join(', ')}.`,
      );
    else if (!allowed.includes(type))
      this.report.at(
        pointer,
        'workflow.event_type_not_allowed',
        `"${type}" is recorded by the platform itself. Types that may be emitted: ${allowed.join(', ')}.`,
      );
  }

  private retry(value: unknown): RetryPolicy | undefined {
    if (!isObject(value)) return undefined;
    return {
      maxAttempts: typeof value['maxAttempts'] === 'number' ? value['maxAttempts'] : DEFAULT_RETRY.maxAttempts,
      delayMs: durationOf(value['delay']) ?? DEFAULT_RETRY.delayMs,
      backoff: value['backoff'] === 'fixed' ? 'fixed' : 'exponential',
      maxDelayMs: durationOf(value['maxDelay']) ?? DEFAULT_RETRY.maxDelayMs,
      jitter: value['jitter'] !== false,
    };
  }
}

const engineStepNamed = (name: string): EngineStep | StepDefinition | undefined =>
  Object.hasOwn(engineSteps, name) ? engineSteps[name] : undefined;

/** The value at a JSON pointer; `undefined` where it leads nowhere. */
function at(value: unknown, pointer: string): unknown {
  let current = value;
  for (const token of pointer.split('/').slice(1)) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
    current = typeof current === 'object' && current !== null ? (current as Raw)[key] : undefined;
  }
  return current;
}
