import type { PlatformEvent } from '#libs/events/src/envelope.js';
import { EVERY, type FieldPath, type PersonalPart } from '#libs/events/src/personal/field-path.js';
import { type Problem, Rejected } from '#libs/kernel/src/errors.js';
import { remember } from '#libs/kernel/src/remember.js';
import { ExactNumber } from '#libs/kernel/src/text/exact-json.js';

import type { Node } from '../ast.js';
import { compile, type CompiledExpression } from '../compile.js';
import { malformed } from '../expression-error.js';
import { lint } from '../lint.js';
import { parse } from '../parser.js';

/** As they are written: `subject` is JMESPath over the event, `fields` are paths in its `data`. */
export interface WrittenPersonalFields {
  readonly subject: string;
  readonly fields: readonly string[];
}

/** What is personal in an event. Where no subject is found, nothing is. */
export type PersonalIn = (
  event: Pick<PlatformEvent<unknown>, 'type' | 'source' | 'subject' | 'data'>,
) => readonly PersonalPart[];

const REMEDY = 'Write a path in data, such as data.payload.user.email or data.payload.commits[*].author.';

/**
 * The steps from `data` to a field.
 * @throws ExpressionError with the column.
 */
export const fieldPath: (source: string) => FieldPath = remember((source) => {
  const tree = parse(source);
  const path = stepsOf(tree);
  if (path?.[0] !== 'data') throw malformed(`Must begin with "data.". ${REMEDY}`, 0);
  if (path.length < 2) throw malformed(`Must name a field of data; data.* is all of them. ${REMEDY}`, 0);
  return path.slice(1);
});

function stepsOf(node: Node): FieldPath | undefined {
  switch (node.kind) {
    case 'current':
      return [];
    case 'field':
      return [node.name];
    case 'sub':
      return joined(stepsOf(node.left), [], stepsOf(node.right));
    case 'projection':
    case 'values':
      return joined(stepsOf(node.left.kind === 'flatten' ? node.left.of : node.left), [EVERY], stepsOf(node.right));
    default:
      throw malformed(`Must be a path: nothing is computed here. ${REMEDY}`, node.at);
  }
}

const joined = (left: FieldPath | undefined, between: FieldPath, right: FieldPath | undefined): FieldPath | undefined =>
  left && right && [...left, ...between, ...right];

/** What is wrong with a declaration, each with its place. */
export function personalProblems(declared: readonly WrittenPersonalFields[], pointer: string): readonly Problem[] {
  const problems: Problem[] = [];
  const check = (place: string, work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      problems.push(...error.problems.map((problem) => ({ ...problem, pointer: `${pointer}${place}` })));
    }
  };
  declared.forEach(({ subject, fields }, index) => {
    check(`/${index}/subject`, () => {
      compile(subject);
      // What is nearly always a slip would leave the fields of everybody in clear.
      const slip = lint(subject).find(({ code }) => code !== 'expression.may_be_missing');
      if (slip) throw malformed(slip.message, slip.column - 1);
    });
    fields.forEach((field, at) => check(`/${index}/fields/${at}`, () => void fieldPath(field)));
  });
  return problems;
}

const compiled = new WeakMap<readonly WrittenPersonalFields[], PersonalIn>();

/**
 * A declaration, ready to be asked for each event. The same list gives the same function.
 * @throws ExpressionError if it was not checked.
 */
export function compilePersonal(declared: readonly WrittenPersonalFields[]): PersonalIn {
  const known = compiled.get(declared);
  if (known) return known;
  const parts = declared.map(({ subject, fields }) => ({
    subject: compile(subject),
    fields: fields.map((field) => fieldPath(field)),
  }));
  const personalIn: PersonalIn = (event) =>
    parts.flatMap(({ subject, fields }) => {
      const subjects = idsOf(subject, event);
      return subjects.length === 0 ? [] : [{ subjects, fields }];
    });
  compiled.set(declared, personalIn);
  return personalIn;
}

function idsOf(subject: CompiledExpression, event: unknown): readonly string[] {
  let value: unknown;
  try {
    value = subject.evaluate(event);
  } catch (error) {
    // Too costly for this event: then nobody is found in it.
    if (error instanceof Rejected) return [];
    throw error;
  }
  return [...new Set(textsIn(value))];
}

function textsIn(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(textsIn);
  if (typeof value === 'string') return value === '' ? [] : [value];
  if (typeof value === 'number') return [String(value)];
  return value instanceof ExactNumber ? [value.text] : [];
}
