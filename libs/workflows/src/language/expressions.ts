import { compile, type CompiledExpression } from '#libs/expressions/src/compile.js';
import { compileTemplate, type CompiledTemplate } from '#libs/expressions/src/template.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import type { Json } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/nearest.js';

import { type Reference, references } from './references.js';
import type { SourceProblems } from './source-problems.js';

/** What an expression sees where it stands in a workflow. */
export interface Visible {
  readonly roots: readonly string[];
  /** Ids of the steps before it. */
  readonly steps: readonly string[];
  /** Names of the declared inputs; `undefined` where none are declared. */
  readonly inputs: readonly string[] | undefined;
}

export const emptyTemplate: CompiledTemplate = compileTemplate({});

/** Compiles the expressions of a workflow, and checks that what they name exists. */
export class Expressions {
  constructor(
    private readonly problems: SourceProblems,
    /** Ids of all steps, to tell a later step from one that does not exist. */
    private readonly allSteps: { has(id: string): boolean } = new Set<string>(),
  ) {}

  /** A condition; `${{ }}` around it may be left out. */
  condition(value: unknown, pointer: string, visible: Visible): CompiledExpression | undefined {
    if (typeof value === 'boolean') return compile(value ? '`true`' : '`false`');
    if (typeof value !== 'string') return undefined;
    return this.expression(unwrapped(value), pointer, visible);
  }

  expression(source: string, pointer: string, visible: Visible): CompiledExpression | undefined {
    try {
      const compiled = compile(source);
      this.check(references(source), pointer, visible);
      return compiled;
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      this.problems.add(pointer, error.code, `The expression is invalid: ${error.message}`);
      return undefined;
    }
  }

  template(value: Json, pointer: string, visible: Visible): CompiledTemplate | undefined {
    try {
      const compiled = compileTemplate(value, pointer);
      for (const { pointer: place, expression } of compiled.expressions)
        this.check(references(expression.source), place, visible);
      return compiled;
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      for (const problem of error.problems)
        this.problems.add(problem.pointer, problem.code ?? error.code, `The expression is invalid: ${problem.detail}`);
      return undefined;
    }
  }

  private check(found: readonly Reference[], pointer: string, visible: Visible): void {
    for (const [root, name] of found) {
      if (root === undefined) continue;
      if (root === 'secrets')
        this.problems.add(pointer, 'workflow.unsupported', '"secrets" is not supported yet in expressions.');
      else if (!visible.roots.includes(root))
        this.problems.add(
          pointer,
          'workflow.unknown_name',
          `"${root}" is not in scope here. ${suggestion(root, visible.roots)}In scope: ${visible.roots.join(', ')}.`,
        );
      else if (root === 'steps' && name !== undefined && !visible.steps.includes(name))
        this.step(name, pointer, visible);
      else if (root === 'inputs' && name !== undefined && visible.inputs?.includes(name) === false)
        this.problems.add(
          pointer,
          'workflow.unknown_name',
          `There is no input "${name}". ${suggestion(name, visible.inputs)}Inputs: ${visible.inputs.join(', ') || 'none'}.`,
        );
    }
  }

  private step(name: string, pointer: string, visible: Visible): void {
    const detail = this.allSteps.has(name)
      ? `The step "${name}" runs later, or inside a loop.`
      : `There is no step "${name}". ${suggestion(name, visible.steps)}`;
    const before = visible.steps.length === 0 ? 'No step comes before.' : `Steps before: ${visible.steps.join(', ')}.`;
    this.problems.add(pointer, 'workflow.unknown_step', `${detail.trim()} ${before}`);
  }
}

/** `${{ expression }}` without its braces; text that is more than one template stays as it is. */
function unwrapped(text: string): string {
  const match = /^\s*\$\{\{(.*)\}\}\s*$/s.exec(text);
  return match && !match[1]!.includes('${{') ? match[1]! : text;
}
