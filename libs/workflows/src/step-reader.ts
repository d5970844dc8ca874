import type { TObject } from '@sinclair/typebox';

import { isEventType } from '#libs/events/src/catalogue.js';
import type { CompiledExpression } from '#libs/expressions/src/compile.js';
import { tryParseDuration } from '#libs/kernel/src/durations.js';
import { isObject, type Json, pointerToken } from '#libs/kernel/src/json.js';
import type { StepDefinition } from '#libs/plugin-sdk/src/define-step.js';

import type { RetryPolicy, Step, StepInput, SwitchStep } from './definition.js';
import { emittable, type EngineStep, engineSteps } from './engine-steps.js';
import { emptyTemplate, Expressions, type Visible } from './expressions-of.js';
import { MAX_STEPS, shallow, UNSUPPORTED } from './grammar.js';
import { suggestion } from '#libs/kernel/src/nearest.js';
import type { Report } from './report.js';
import { misfits } from './shape-check.js';
import type { StepLibrary } from './step-library.js';

type Raw = Record<string, unknown>;
type Kind = 'uses' | 'wait' | 'switch' | 'forEach';
const KINDS: readonly Kind[] = ['uses', 'wait', 'switch', 'forEach'];
const NESTED = ['steps'] as const;

export const DEFAULT_RETRY: RetryPolicy = {
  maxAttempts: 3,
  delayMs: 10_000,
  backoff: 'exponential',
  maxDelayMs: 300_000,
  jitter: true,
};

/** Steps that were read, and what the next ones can see. */
interface Listed {
  readonly steps: readonly Step[];
  readonly visible: Visible;
}

/** Reads steps: which kind each is, whether it fits, and whether what its expressions name is there. */
export class StepReader {
  /** Ids by the pointer of their step, given or made up; all are known before the first expression is checked. */
  private readonly ids = new Map<string, string>();
  private readonly taken = new Map<string, string>();
  private readonly expressions: Expressions;

  constructor(
    private readonly library: StepLibrary,
    private readonly report: Report,
  ) {
    this.expressions = new Expressions(report, { has: (id) => this.taken.has(id) });
  }

  /** Gives every step its id. Ids are unique in the whole workflow, so that a path names one step. */
  name(...lists: readonly unknown[]): void {
    const pointers = ['/steps', '/onFailure'];
    const unnamed: (readonly [pointer: string, kind: string])[] = [];
    lists.forEach((list, index) => this.nameList(list, pointers[index]!, unnamed));
    for (const [pointer, kind] of unnamed) {
      let number = 1;
      while (this.taken.has(`${kind}_${number}`)) number++;
      this.ids.set(pointer, `${kind}_${number}`);
      this.taken.set(`${kind}_${number}`, pointer);
    }
  }

  private nameList(list: unknown, pointer: string, unnamed: (readonly [string, string])[]): void {
    for (const [index, step] of listOf(list).entries()) {
      if (!isObject(step)) continue;
      const place = `${pointer}/${index}`;
      const id = step['id'];
      if (typeof id !== 'string')
        unnamed.push([place, typeof step['uses'] === 'string' ? slug(step['uses']) : kindOf(step)]);
      else if (this.taken.has(id))
        this.report.at(
          `${place}/id`,
          'workflow.duplicate_id',
          `Another step has the id "${id}": ids are unique in a workflow.`,
        );
      else {
        this.taken.set(id, place);
        this.ids.set(place, id);
      }
      for (const key of NESTED) this.nameList(step[key], `${place}/${key}`, unnamed);
      for (const [at, branch] of listOf(step['switch']).entries())
        if (isObject(branch)) this.nameList(branch['steps'], `${place}/switch/${at}/steps`, unnamed);
    }
  }

  list(value: unknown, pointer: string, visible: Visible): Listed {
    const steps: Step[] = [];
    let seen = visible;
    for (const [index, raw] of listOf(value).slice(0, MAX_STEPS).entries()) {
      const place = `${pointer}/${index}`;
      const read = this.step(raw, place, seen);
      if (read) steps.push(read);
      const id = this.ids.get(place);
      if (id !== undefined) seen = { ...seen, steps: [...seen.steps, ...this.shownBy(raw, place), id] };
    }
    return { steps, visible: seen };
  }

  duration(value: unknown): number | undefined {
    return typeof value === 'string' ? tryParseDuration(value) : undefined;
  }

  /** The cases of a switch stand in the same room as the switch; what is inside a loop cannot be seen from outside. */
  private shownBy(raw: unknown, place: string): string[] {
    if (!isObject(raw)) return [];
    return listOf(raw['switch']).flatMap((branch, at) =>
      isObject(branch)
        ? listOf(branch['steps']).flatMap((step, index) => {
            const inner = `${place}/switch/${at}/steps/${index}`;
            const id = this.ids.get(inner);
            return [...this.shownBy(step, inner), ...(id === undefined ? [] : [id])];
          })
        : [],
    );
  }

  private step(raw: unknown, pointer: string, visible: Visible): Step | undefined {
    if (!isObject(raw)) {
      this.report.at(pointer, 'workflow.bad_value', `A step is a mapping with one of ${KINDS.join(', ')}.`);
      return undefined;
    }
    if (this.report.refuses(raw, UNSUPPORTED.step, pointer, `A step has one of ${KINDS.join(', ')}.`)) return undefined;
    const kinds = KINDS.filter((kind) => Object.hasOwn(raw, kind));
    if (kinds.length !== 1) {
      const known = Object.keys(shallow.uses.properties).concat(KINDS, 'steps', 'concurrency', 'until');
      const odd = kinds.length === 0 ? Object.keys(raw).find((key) => !known.includes(key)) : undefined;
      if (odd === undefined)
        this.report.at(
          pointer,
          kinds.length === 0 ? 'workflow.missing_key' : 'workflow.bad_value',
          kinds.length === 0
            ? `This step does nothing: give it one of ${KINDS.join(', ')}.`
            : `A step has one of ${KINDS.join(', ')}; this one has ${kinds.join(' and ')}.`,
        );
      else
        this.report.at(
          `${pointer}/${pointerToken(odd)}`,
          'workflow.unknown_key',
          `"${odd}" is not known here. ${suggestion(odd, known)}A step has one of ${KINDS.join(', ')}.`,
          true,
        );
      return undefined;
    }
    const kind = kinds[0]!;
    if (kind !== 'uses' && Object.hasOwn(raw, 'retry')) {
      this.report.at(
        `${pointer}/retry`,
        'workflow.unknown_key',
        `"retry" goes with "uses": put it on the steps inside.`,
        true,
      );
      return undefined;
    }
    const fits = this.report.fits(shallow[kind], raw, pointer);
    // Read on all the same, so that one save names everything that is wrong.
    const step = this.kind(kind, raw, pointer, visible, this.common(raw, pointer, visible));
    return fits ? step : undefined;
  }

  private common(raw: Raw, pointer: string, visible: Visible) {
    return {
      id: this.ids.get(pointer) ?? 'step',
      name: typeof raw['name'] === 'string' ? raw['name'] : undefined,
      condition: raw['if'] === undefined ? undefined : this.expressions.condition(raw['if'], `${pointer}/if`, visible),
      timeoutMs: this.duration(raw['timeout']),
      onError: raw['onError'] === 'continue' ? ('continue' as const) : ('fail' as const),
    };
  }

  private kind(
    kind: Kind,
    raw: Raw,
    pointer: string,
    visible: Visible,
    common: ReturnType<StepReader['common']>,
  ): Step | undefined {
    switch (kind) {
      case 'uses':
        return this.uses(raw, pointer, visible, common);
      case 'wait':
        return this.wait(raw, pointer, visible, common);
      case 'switch':
        return { ...common, kind, cases: this.cases(raw['switch'], `${pointer}/switch`, visible) };
      case 'forEach': {
        const inside: Visible = { ...visible, roots: [...new Set([...visible.roots, 'item', 'index'])] };
        const body = this.list(raw['steps'], `${pointer}/steps`, inside);
        const items = this.expressions.template(raw['forEach'] as Json, `${pointer}/forEach`, visible);
        if (typeof raw['forEach'] === 'string' && items?.expressions.length === 0)
          this.report.at(
            `${pointer}/forEach`,
            'workflow.bad_value',
            'Must be a list, or a template such as ${{ inputs.items }} that gives one.',
          );
        return {
          ...common,
          kind,
          items: items ?? emptyTemplate,
          concurrency: typeof raw['concurrency'] === 'number' ? raw['concurrency'] : 1,
          until:
            raw['until'] === undefined
              ? undefined
              : this.expressions.condition(raw['until'], `${pointer}/until`, { ...inside, steps: body.visible.steps }),
          steps: body.steps,
        };
      }
    }
  }

  private uses(
    raw: Raw,
    pointer: string,
    visible: Visible,
    common: ReturnType<StepReader['common']>,
  ): Step | undefined {
    const name = raw['uses'];
    if (typeof name !== 'string') return undefined;
    const found = engineStepNamed(name) ?? this.library.get(name);
    if (!found) {
      this.unknownStep(name, `${pointer}/uses`);
      return undefined;
    }
    const input = this.input(found.inputSchema as TObject, raw['with'], `${pointer}/with`, pointer, visible);
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
  private input(schema: TObject, value: unknown, pointer: string, step: string, visible: Visible): StepInput {
    const given = value ?? {};
    for (const misfit of misfits(schema, given, pointer)) {
      if (isTemplate(at(given, misfit.pointer.slice(pointer.length)))) continue;
      // Where `with` is missing altogether, the step is the place to show.
      this.report.at(
        value === undefined ? step : misfit.pointer,
        misfit.code,
        misfit.detail,
        misfit.key && value !== undefined,
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
      delayMs: this.duration(value['delay']) ?? DEFAULT_RETRY.delayMs,
      backoff: value['backoff'] === 'fixed' ? 'fixed' : 'exponential',
      maxDelayMs: this.duration(value['maxDelay']) ?? DEFAULT_RETRY.maxDelayMs,
      jitter: value['jitter'] !== false,
    };
  }

  private wait(
    raw: Raw,
    pointer: string,
    visible: Visible,
    common: ReturnType<StepReader['common']>,
  ): Step | undefined {
    const wait = raw['wait'];
    if (!isObject(wait)) return undefined;
    const place = `${pointer}/wait`;
    if (Object.hasOwn(wait, 'for') === Object.hasOwn(wait, 'until'))
      this.report.at(
        place,
        'workflow.bad_value',
        'A wait has either "for" (a duration) or "until" (a time, RFC 3339).',
      );
    const { for: duration, until } = wait;
    if (typeof duration === 'string' && !isTemplate(duration) && tryParseDuration(duration) === undefined)
      this.report.at(
        `${place}/for`,
        'workflow.bad_value',
        `"${duration}" is not a duration: write one such as 30s or 5m.`,
      );
    if (typeof until === 'string' && !isTemplate(until) && !isTime(until))
      this.report.at(
        `${place}/until`,
        'workflow.bad_value',
        `"${until}" is not a time: write RFC 3339, such as 2026-11-20T09:00:00Z.`,
      );
    const template = (key: 'for' | 'until') =>
      typeof wait[key] === 'string' ? this.expressions.template(wait[key], `${place}/${key}`, visible) : undefined;
    return { ...common, kind: 'wait', for: template('for'), until: template('until') };
  }

  private cases(value: unknown, pointer: string, visible: Visible): SwitchStep['cases'] {
    const branches = listOf(value);
    // Only one case is taken, but which is not known: a later case cannot see the steps of an earlier one.
    return branches.map((branch, index) => {
      const place = `${pointer}/${index}`;
      const otherwise = isObject(branch) && Object.hasOwn(branch, 'else');
      if (
        this.report.fits(otherwise ? shallow.else : shallow.case, branch, place) &&
        otherwise &&
        index < branches.length - 1
      )
        this.report.at(place, 'workflow.bad_value', '"else" is the last case: what follows would never be taken.');
      const { if: condition, steps } = isObject(branch) ? branch : ({} as Raw);
      return {
        condition: otherwise ? undefined : this.expressions.condition(condition, `${place}/if`, visible),
        steps: this.list(steps, `${place}/steps`, visible).steps,
      };
    });
  }
}

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);

const engineStepNamed = (name: string): EngineStep | StepDefinition | undefined =>
  Object.hasOwn(engineSteps, name) ? engineSteps[name] : undefined;

const kindOf = (step: Raw): string => KINDS.find((kind) => Object.hasOwn(step, kind)) ?? 'step';
const slug = (name: string): string =>
  name
    .replaceAll(/[^A-Za-z0-9_]/g, '_')
    .replace(/^(\d)/, '_$1')
    .slice(0, 50) || 'step';

const isTemplate = (value: unknown): boolean => typeof value === 'string' && value.includes('${{');

export const isTime = (text: string): boolean =>
  /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/.test(text) && !Number.isNaN(Date.parse(text));

/** The value at a JSON pointer; `undefined` where it leads nowhere. */
function at(value: unknown, pointer: string): unknown {
  let current = value;
  for (const token of pointer.split('/').slice(1)) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
    current = typeof current === 'object' && current !== null ? (current as Raw)[key] : undefined;
  }
  return current;
}
