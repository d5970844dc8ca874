import type { JsonSchema } from '#libs/expressions/src/schema.js';
import { isObject, pointerToken } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';

import type { Step, UsesFields } from '../definition.js';
import { Expressions } from '../expressions.js';
import { MAX_STEPS, UsesShape } from '../fields.js';
import { timeLimitOf } from './time-limits.js';
import type { Visible } from '../scope-schema.js';
import type { SourceProblems } from '../source-problems.js';
import { listOf, type StepIds } from './step-ids.js';
import { readUses } from './uses-reader.js';
import type { RawObject, Reading, Vocabulary } from '../vocabulary.js';

/** Reads steps: of which kind each is, whether it fits, and whether what its expressions name exists. */
export class StepReader {
  readonly expressions: Expressions;
  /** Keys of which a step has exactly one. */
  private readonly keywords: readonly string[];
  private readonly keys: readonly string[];

  constructor(
    private readonly vocabulary: Vocabulary,
    private readonly problems: SourceProblems,
    private readonly ids: StepIds,
  ) {
    this.expressions = new Expressions(problems, ids);
    this.keywords = ['uses', ...vocabulary.keywords.map(({ name }) => name)];
    const shapes = [UsesShape, ...vocabulary.keywords.map(({ shape }) => shape)];
    this.keys = [...new Set(shapes.flatMap(({ properties }) => Object.keys(properties)))];
  }

  /** @returns the steps, and what is visible after them. */
  list(
    value: unknown,
    pointer: string,
    visible: Visible,
  ): { readonly steps: readonly Step[]; readonly visible: Visible } {
    const steps: Step[] = [];
    let seen = visible;
    for (const [index, raw] of listOf(value).slice(0, MAX_STEPS).entries()) {
      const at = `${pointer}/${index}`;
      const step = this.step(raw, at, seen);
      if (step) steps.push(step);
      const id = this.ids.at(at);
      if (id !== undefined) seen = { ...seen, steps: [...seen.steps, ...this.ids.sharedBy(raw, at), id] };
    }
    return { steps, visible: seen };
  }

  private step(given: unknown, pointer: string, visible: Visible): Step | undefined {
    const { problems, expressions } = this;
    const oneOf = `one of ${this.keywords.join(', ')}`;
    if (!isObject(given)) {
      problems.add(pointer, 'workflow.bad_value', `A step must be an object with ${oneOf}.`);
      return undefined;
    }
    const raw: RawObject = given;
    const keyword = this.keywordOf(raw, pointer, oneOf);
    if (keyword === undefined) return undefined;
    const syntax = this.vocabulary.keywords.find(({ name }) => name === keyword);
    const fits = problems.fits(syntax?.shape ?? UsesShape, raw, pointer);
    // Read on all the same, so that one save names every problem.
    const common = this.common(raw, pointer, visible);
    const reading: Reading = {
      pointer,
      visible,
      expressions,
      problems,
      step: (...one) => this.step(...one),
      list: (...list) => this.list(...list),
    };
    const read = syntax
      ? { kind: syntax.name, ...syntax.read(raw, reading) }
      : readUses(raw, reading, fits, this.vocabulary.named);
    const { uses } = (read ?? {}) as Partial<UsesFields>;
    expressions.outputs.set(common.id, (syntax ?? uses)?.outputSchema as JsonSchema | undefined);
    return fits && read ? { ...common, ...read } : undefined;
  }

  /** The key that says of which kind a step is; `undefined` if that is not clear, and reported. */
  private keywordOf(raw: RawObject, pointer: string, oneOf: string): string | undefined {
    const found = this.keywords.filter((keyword) => Object.hasOwn(raw, keyword));
    if (found.length > 1)
      this.problems.add(
        pointer,
        'workflow.bad_value',
        `A step must have ${oneOf}; this one has ${found.join(' and ')}.`,
      );
    else if (found.length === 0) this.withoutKeyword(raw, pointer, oneOf);
    else if (found[0] !== 'uses' && Object.hasOwn(raw, 'retry'))
      this.problems.add(
        `${pointer}/retry`,
        'workflow.unknown_key',
        `"retry" must be used with "uses". ${withoutRetry(found[0]!, this.vocabulary)}`,
        true,
      );
    else return found[0];
    return undefined;
  }

  private withoutKeyword(raw: RawObject, pointer: string, oneOf: string): void {
    const unknown = Object.keys(raw).find((key) => !this.keys.includes(key));
    if (unknown === undefined) this.problems.add(pointer, 'workflow.missing_key', `A step must have ${oneOf}.`);
    else
      this.problems.add(
        `${pointer}/${pointerToken(unknown)}`,
        'workflow.unknown_key',
        `Unknown key "${unknown}". ${suggestion(unknown, this.keys)}A step must have ${oneOf}.`,
        true,
      );
  }

  private common(raw: RawObject, pointer: string, visible: Visible): Omit<Step, 'kind'> {
    return {
      id: this.ids.at(pointer) ?? 'step',
      written: raw,
      name: typeof raw['name'] === 'string' ? raw['name'] : undefined,
      disabled: raw['disabled'] === true,
      condition: raw['if'] === undefined ? undefined : this.expressions.condition(raw['if'], `${pointer}/if`, visible),
      timeoutMs: timeLimitOf(raw['timeout'], `${pointer}/timeout`, this.problems),
      onError: raw['onError'] === 'continue' ? 'continue' : 'fail',
    };
  }
}

/** What to do in place of `retry`. */
const withoutRetry = (keyword: string, { keywords }: Vocabulary): string =>
  keywords.find(({ name }) => name === keyword)?.nesting
    ? 'Put it on the steps inside.'
    : 'To wait again, put the step into "while", with "onError: continue".';
