import { type Problem, Rejected } from '#libs/kernel/src/errors.js';
import type { SourceProblem } from '#libs/yaml/src/source-position.js';

import type { Definition } from '../language/definition.js';
import { parseWorkflow } from '../language/parse-workflow.js';
import type { StepLibrary } from '../steps/step-library.js';

/** A problem as the API shows it: the pointer is into the workflow, line and column are in its text. */
export const shown = ({ pointer, code, detail, line, column }: SourceProblem): Problem => ({
  pointer,
  code,
  detail: `line ${line}, column ${column}: ${detail}`,
  line,
  column,
});

/**
 * A workflow that may be saved.
 * @param name the name that it must have, where the address says one.
 * @throws Rejected `workflow.invalid` with every problem.
 */
export function checkedSource(source: string, library: StepLibrary, name?: string): Definition {
  const parsed = parseWorkflow(source, library);
  if (!parsed.ok) throw invalid(parsed.problems.map(shown));
  if (name !== undefined && parsed.definition.name !== name)
    throw invalid([
      {
        pointer: '/name',
        code: 'workflow.other_name',
        detail: `The text is named "${parsed.definition.name}", the address "${name}". Use the same name.`,
      },
    ]);
  return parsed.definition;
}

const invalid = (problems: readonly Problem[]): Rejected =>
  new Rejected('invalid', 'workflow.invalid', `The workflow was not saved: ${problems[0]!.detail}`, { problems });
