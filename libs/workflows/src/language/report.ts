import type { TSchema } from '@sinclair/typebox';

import { type ShapeProblem, shapeProblems } from '#libs/events/src/shapes/shape-check.js';

import type { YamlDocument } from '#libs/yaml/src/read-yaml.js';
import type { SourceProblem } from '#libs/yaml/src/source-position.js';

/** Collects problems, each at its place in the text. */
export class Report {
  readonly problems: SourceProblem[] = [];
  constructor(private readonly document: YamlDocument) {}

  at(pointer: string, code: string, detail: string, key = false): void {
    const position = key ? this.document.keyPosition(pointer) : this.document.position(pointer);
    this.problems.push({ pointer, code, detail, ...position });
  }

  /** Whether `value` fits; what does not is reported. */
  fits(schema: TSchema, value: unknown, pointer: string): boolean {
    const found = workflowProblems(schema, value, pointer);
    for (const { pointer: place, code, detail, isKey } of found) this.at(place, code, detail, isKey);
    return found.length === 0;
  }

  /** Words that other versions of the language have: refused by name, before they count as unknown. */
  refuses(value: object, words: readonly string[], pointer: string, instead: string): boolean {
    const word = words.find((candidate) => Object.hasOwn(value, candidate));
    if (word === undefined) return false;
    this.at(`${pointer}/${word}`, 'workflow.unsupported', `"${word}" is not supported yet. ${instead}`, true);
    return true;
  }
}

export const workflowProblems = (schema: TSchema, value: unknown, pointer = ''): readonly ShapeProblem[] =>
  shapeProblems(schema, value, { prefix: 'workflow', pointer });
