import { isObject } from '#libs/kernel/src/json.js';

import type { Report } from './report.js';

export type Kind = 'uses' | 'wait' | 'switch' | 'forEach';
/** A step has one of these. */
export const KINDS: readonly Kind[] = ['uses', 'wait', 'switch', 'forEach'];

/** Ids of all steps, given or made up; known before the first expression is checked. */
export class StepIds {
  private readonly byPointer = new Map<string, string>();
  private readonly taken = new Set<string>();

  constructor(private readonly report: Report) {}

  has(id: string): boolean {
    return this.taken.has(id);
  }

  /** Of the step at a JSON pointer; `undefined` if it stands where no step should, or its id is another's. */
  at(pointer: string): string | undefined {
    return this.byPointer.get(pointer);
  }

  /** Gives every step its id. Ids are unique in the whole workflow, so that a path names one step. */
  name(...lists: readonly unknown[]): void {
    const pointers = ['/steps', '/onFailure'];
    const unnamed: (readonly [pointer: string, kind: string])[] = [];
    lists.forEach((list, index) => this.nameList(list, pointers[index]!, unnamed));
    for (const [pointer, kind] of unnamed) {
      let number = 1;
      while (this.taken.has(`${kind}_${number}`)) number++;
      this.byPointer.set(pointer, `${kind}_${number}`);
      this.taken.add(`${kind}_${number}`);
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
        this.taken.add(id);
        this.byPointer.set(place, id);
      }
      this.nameList(step['steps'], `${place}/steps`, unnamed);
      for (const [at, branch] of listOf(step['switch']).entries())
        if (isObject(branch)) this.nameList(branch['steps'], `${place}/switch/${at}/steps`, unnamed);
    }
  }

  /** The cases of a switch stand in the same room as the switch; what is inside a loop cannot be seen from outside. */
  shownBy(raw: unknown, place: string): string[] {
    if (!isObject(raw)) return [];
    return listOf(raw['switch']).flatMap((branch, at) =>
      isObject(branch)
        ? listOf(branch['steps']).flatMap((step, index) => {
            const inner = `${place}/switch/${at}/steps/${index}`;
            const id = this.byPointer.get(inner);
            return [...this.shownBy(step, inner), ...(id === undefined ? [] : [id])];
          })
        : [],
    );
  }
}

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);

const kindOf = (step: object): string => KINDS.find((kind) => Object.hasOwn(step, kind)) ?? 'step';
const slug = (name: string): string =>
  name
    .replaceAll(/[^A-Za-z0-9_]/g, '_')
    .replace(/^(\d)/, '_$1')
    .slice(0, 50) || 'step';
