import type { TSchema } from '@sinclair/typebox';

import { type IsOpen, type ShapeProblem, shapeProblems } from '#libs/events/src/shapes/shape-check.js';
import { type OrganisationVocabulary, referenceProblem, type ReferenceKind } from '#libs/vocabulary/src/vocabulary.js';
import type { YamlDocument } from '#libs/yaml/src/read-yaml.js';
import type { SourceProblem } from '#libs/yaml/src/source-position.js';

/**
 * What the organisation has. Absent: it is not known, and an event type that is no misspelt built-in one is a warning. `any`: the
 * text was checked when it was saved.
 */
export type KnownOrganisation = OrganisationVocabulary | 'any';

/** Collects problems, each with its position in the text. */
export class SourceProblems {
  readonly found: SourceProblem[] = [];
  private readonly suspected: (() => void)[] = [];
  private readonly warned: SourceProblem[] = [];

  /** @param inText where what has a pointer is written, if that is elsewhere. */
  constructor(
    private readonly document: YamlDocument,
    private readonly inText: (pointer: string) => string = (pointer) => pointer,
    private readonly organisation?: KnownOrganisation,
  ) {}

  /** The text is a version that is in use: what was allowed when it was saved stays allowed. */
  get isSaved(): boolean {
    return this.organisation === 'any';
  }

  /** Event types beside the built-in ones. */
  get ownTypes(): OrganisationVocabulary['eventTypes'] | 'any' | undefined {
    return typeof this.organisation === 'object' ? this.organisation.eventTypes : this.organisation;
  }

  /** Warns about a reference to what the organisation does not have. @param offset of it in the text at the pointer. */
  checkReference(kind: ReferenceKind, given: string, pointer: string, offset = 0): void {
    const { organisation } = this;
    if (typeof organisation !== 'object') return;
    this.suspect(() => {
      const problem = referenceProblem(kind, given, organisation);
      if (problem) this.warn(pointer, problem.code, problem.detail, offset);
    });
  }

  /** A check for what is allowed and probably not meant. It runs only when somebody asks for warnings. */
  suspect(check: () => void): void {
    this.suspected.push(check);
  }

  /** Called by such a check. @param offset of the place in the text at the pointer. */
  warn(read: string, code: string, detail: string, offset = 0): void {
    const pointer = this.inText(read);
    this.warned.push({ pointer, code, detail, ...this.document.positionIn(pointer, offset) });
  }

  /** Warnings in the order of the text. */
  warnings(): readonly SourceProblem[] {
    for (const check of this.suspected.splice(0)) check();
    return inOrder(this.warned);
  }

  /** @param isKey whether the key at the pointer is wrong rather than its value. */
  add(read: string, code: string, detail: string, isKey = false): void {
    const pointer = this.inText(read);
    const position = isKey ? this.document.keyPosition(pointer) : this.document.position(pointer);
    this.found.push({ pointer, code, detail, ...position });
  }

  /** Whether `value` fits; what does not is added. @param isOpen tells values that are not known yet, such as templates. */
  fits(schema: TSchema, value: unknown, pointer: string, isOpen?: IsOpen): boolean {
    const problems = workflowProblems(schema, value, pointer, isOpen);
    for (const { pointer: at, code, detail, isKey } of problems) this.add(at, code, detail, isKey);
    return problems.length === 0;
  }
}

export const inOrder = (problems: readonly SourceProblem[]): readonly SourceProblem[] =>
  problems.toSorted((a, b) => a.line - b.line || a.column - b.column);

/** @param isOpen tells values that are not known yet, such as templates. */
export const workflowProblems = (
  schema: TSchema,
  value: unknown,
  pointer = '',
  isOpen?: IsOpen,
): readonly ShapeProblem[] => shapeProblems(schema, value, { prefix: 'workflow', pointer, ...(isOpen && { isOpen }) });
