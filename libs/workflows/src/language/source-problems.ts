import type { TSchema } from '@sinclair/typebox';

import { type ShapeProblem, shapeProblems } from '#libs/events/src/shapes/shape-check.js';
import type { YamlDocument } from '#libs/yaml/src/read-yaml.js';
import type { SourceProblem } from '#libs/yaml/src/source-position.js';

/** Collects problems, each with its position in the text. */
export class SourceProblems {
  readonly found: SourceProblem[] = [];
  constructor(private readonly document: YamlDocument) {}

  /** @param isKey whether the key at the pointer is wrong rather than its value. */
  add(pointer: string, code: string, detail: string, isKey = false): void {
    const position = isKey ? this.document.keyPosition(pointer) : this.document.position(pointer);
    this.found.push({ pointer, code, detail, ...position });
  }

  /** Whether `value` fits; what does not is added. */
  fits(schema: TSchema, value: unknown, pointer: string): boolean {
    const problems = workflowProblems(schema, value, pointer);
    for (const { pointer: at, code, detail, isKey } of problems) this.add(at, code, detail, isKey);
    return problems.length === 0;
  }
}

/** @param isOpen tells values that are not known yet, such as templates. */
export const workflowProblems = (
  schema: TSchema,
  value: unknown,
  pointer = '',
  isOpen?: (value: unknown) => boolean,
): readonly ShapeProblem[] => shapeProblems(schema, value, { prefix: 'workflow', pointer, ...(isOpen && { isOpen }) });
