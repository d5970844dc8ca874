import type { SourceWarning } from '#libs/events/src/shapes/workflow-shape.js';
import { type Problem, Rejected } from '#libs/kernel/src/errors.js';

import type { Definition } from '../language/definition.js';
import { type ParsedWorkflow, parseWorkflow } from '../language/reading/parse-workflow.js';
import type { Vocabulary } from '../language/vocabulary.js';

export const warningsIn = (parsed: ParsedWorkflow): readonly SourceWarning[] =>
  parsed.warnings().map(({ detail, ...place }) => ({ ...place, message: detail }));

export interface CheckedSource {
  readonly definition: Definition;
  readonly warnings: readonly SourceWarning[];
}

/**
 * Checks a workflow that is to be saved.
 * @param name the name that it must have, where the address says one.
 * @throws Rejected `workflow.invalid` with every problem.
 */
export function checkedSource(source: string, vocabulary: Vocabulary, name?: string): CheckedSource {
  const parsed = parseWorkflow(source, vocabulary);
  if (!parsed.ok) throw invalid(parsed.problems);
  if (name !== undefined && parsed.definition.name !== name)
    throw invalid([
      {
        pointer: '/name',
        code: 'workflow.other_name',
        detail: `Must be "${name}", the name in the URL. Got "${parsed.definition.name}".`,
      },
    ]);
  return { definition: parsed.definition, warnings: warningsIn(parsed) };
}

function invalid(problems: readonly Problem[]): Rejected {
  const { detail, line, column } = problems[0]!;
  const place = line === undefined ? '' : `line ${line}, column ${column}: `;
  return new Rejected('invalid', 'workflow.invalid', `The workflow was not saved: ${place}${detail}`, { problems });
}
