import { isObject, type Json, pointerToken } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/nearest.js';

import type { Common, Step, SwitchStep } from './definition.js';
import { emptyTemplate, Expressions, type Visible } from './expressions-of.js';
import { MAX_STEPS, shallow, UNSUPPORTED } from './grammar.js';
import { durationOf } from './literals.js';
import type { Report } from './report.js';
import { type Kind, KINDS, listOf, type StepIds } from './step-ids.js';
import type { StepLibrary } from './step-library.js';
import { UsesReader } from './uses-reader.js';
import { readWait } from './wait-reader.js';

type Raw = Record<string, unknown>;

/** Steps that were read, and what the next ones can see. */
interface Listed {
  readonly steps: readonly Step[];
  readonly visible: Visible;
}

/** Reads steps: which kind each is, whether it fits, and whether what its expressions name is there. */
export class StepReader {
  private readonly expressions: Expressions;
  private readonly usesReader: UsesReader;

  constructor(
    library: StepLibrary,
    private readonly report: Report,
    private readonly ids: StepIds,
  ) {
    this.expressions = new Expressions(report, ids);
    this.usesReader = new UsesReader(library, report, this.expressions);
  }

  list(value: unknown, pointer: string, visible: Visible): Listed {
    const steps: Step[] = [];
    let seen = visible;
    for (const [index, raw] of listOf(value).slice(0, MAX_STEPS).entries()) {
      const place = `${pointer}/${index}`;
      const read = this.step(raw, place, seen);
      if (read) steps.push(read);
      const id = this.ids.at(place);
      if (id !== undefined) seen = { ...seen, steps: [...seen.steps, ...this.ids.shownBy(raw, place), id] };
    }
    return { steps, visible: seen };
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
    const step = this.kind(kind, raw, pointer, visible, this.common(raw, pointer, visible), fits);
    return fits ? step : undefined;
  }

  private common(raw: Raw, pointer: string, visible: Visible): Common {
    return {
      id: this.ids.at(pointer) ?? 'step',
      name: typeof raw['name'] === 'string' ? raw['name'] : undefined,
      condition: raw['if'] === undefined ? undefined : this.expressions.condition(raw['if'], `${pointer}/if`, visible),
      timeoutMs: durationOf(raw['timeout']),
      onError: raw['onError'] === 'continue' ? ('continue' as const) : ('fail' as const),
    };
  }

  private kind(
    kind: Kind,
    raw: Raw,
    pointer: string,
    visible: Visible,
    common: Common,
    fits: boolean,
  ): Step | undefined {
    switch (kind) {
      case 'uses':
        return this.usesReader.read(raw, pointer, visible, common, fits);
      case 'wait':
        return readWait(raw['wait'], `${pointer}/wait`, visible, common, this.expressions, this.report);
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
