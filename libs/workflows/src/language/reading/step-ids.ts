import { isObject } from '#libs/kernel/src/json.js';

import type { SourceProblems } from '../source-problems.js';
import type { KeywordSyntax } from '../vocabulary.js';

/** Ids of all steps, given or generated; known before the first expression is checked. */
export class StepIds {
  private readonly byPointer = new Map<string, string>();
  private readonly taken = new Set<string>();

  constructor(
    private readonly keywords: readonly KeywordSyntax[],
    private readonly problems: SourceProblems,
  ) {}

  has(id: string): boolean {
    return this.taken.has(id);
  }

  /** Of the step at a JSON pointer; `undefined` if no step stands there, or its id is another's. */
  at(pointer: string): string | undefined {
    return this.byPointer.get(pointer);
  }

  /** Gives every step of these lists its id. Ids are unique in the whole workflow, so that a path names one step. */
  assign(lists: Readonly<Record<string, unknown>>): void {
    const unnamed: { readonly pointer: string; readonly name: string }[] = [];
    for (const [pointer, list] of Object.entries(lists)) this.collect(list, pointer, unnamed);
    for (const { pointer, name } of unnamed) {
      let number = 1;
      while (this.taken.has(`${name}_${number}`)) number++;
      this.byPointer.set(pointer, `${name}_${number}`);
      this.taken.add(`${name}_${number}`);
    }
  }

  private collect(list: unknown, pointer: string, unnamed: { pointer: string; name: string }[]): void {
    for (const [index, step] of listOf(list).entries()) {
      if (!isObject(step)) continue;
      const at = `${pointer}/${index}`;
      const { id, uses } = step;
      if (typeof id !== 'string')
        unnamed.push({ pointer: at, name: typeof uses === 'string' ? slug(uses) : this.keywordOf(step) });
      else if (this.taken.has(id))
        this.problems.add(
          `${at}/id`,
          'workflow.duplicate_id',
          `Another step has the id "${id}". Ids must be unique in a workflow.`,
        );
      else {
        this.taken.add(id);
        this.byPointer.set(at, id);
      }
      for (const nested of nestedLists(step, at, this.keywords)) this.collect(nested.list, nested.pointer, unnamed);
    }
  }

  private keywordOf(step: object): string {
    return this.keywords.find(({ name }) => Object.hasOwn(step, name))?.name ?? 'step';
  }

  /** Ids of the steps inside a step that are seen after it. */
  sharedBy(raw: unknown, pointer: string): string[] {
    if (!isObject(raw)) return [];
    const shared = this.keywords.filter(({ nesting }) => nesting?.scope === 'shared');
    return nestedLists(raw, pointer, shared).flatMap((nested) =>
      listOf(nested.list).flatMap((step, index) => {
        const at = `${nested.pointer}/${index}`;
        const id = this.byPointer.get(at);
        return [...this.sharedBy(step, at), ...(id === undefined ? [] : [id])];
      }),
    );
  }
}

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);

interface NestedList {
  readonly list: unknown;
  readonly pointer: string;
}

/** The lists of steps that a step holds, as it is written. */
function nestedLists(step: object, pointer: string, keywords: readonly KeywordSyntax[]): NestedList[] {
  return keywords.flatMap(({ name, nesting }) =>
    nesting === undefined || !Object.hasOwn(step, name) ? [] : follow({ list: step, pointer }, nesting.at),
  );
}

function follow({ list: value, pointer }: NestedList, path: readonly string[]): NestedList[] {
  const [key, ...rest] = path;
  if (key === undefined) return [{ list: value, pointer }];
  if (key === '*')
    return listOf(value).flatMap((entry, index) => follow({ list: entry, pointer: `${pointer}/${index}` }, rest));
  return isObject(value) && Object.hasOwn(value, key)
    ? follow({ list: value[key], pointer: `${pointer}/${key}` }, rest)
    : [];
}

const slug = (name: string): string =>
  name
    .replaceAll(/[^A-Za-z0-9_]/g, '_')
    .replace(/^(\d)/, '_$1')
    .slice(0, 50) || 'step';
