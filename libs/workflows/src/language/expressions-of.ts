import { compile, type CompiledExpression } from '#libs/expressions/src/compile.js';
import { compileTemplate, type CompiledTemplate } from '#libs/expressions/src/template.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import type { Json } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/nearest.js';

import { type Reference, references } from './references.js';
import type { Report } from './report.js';

/** What an expression can see at one place of a workflow. */
export interface Visible {
  readonly roots: readonly string[];
  /** Ids of the steps that come before. */
  readonly steps: readonly string[];
  /** Names of the declared inputs; `undefined` where none are declared. */
  readonly inputs: readonly string[] | undefined;
}

export const emptyTemplate: CompiledTemplate = compileTemplate({});

/** Compiles the expressions of a workflow, and checks that what they name is there. */
export class Expressions {
  constructor(
    private readonly report: Report,
    /** Ids of all steps, to tell a step that comes later from one that does not exist. */
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
      this.report.at(pointer, error.code, `The expression does not parse: ${error.message}`);
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
        this.report.at(problem.pointer, problem.code ?? error.code, `The expression does not parse: ${problem.detail}`);
      return undefined;
    }
  }

  private check(found: readonly Reference[], pointer: string, visible: Visible): void {
    for (const [root, name] of found) {
      if (root === undefined) continue;
      if (root === 'secrets')
        this.report.at(pointer, 'workflow.unsupported', '"secrets" is not supported yet in expressions.');
      else if (!visible.roots.includes(root))
        this.report.at(
          pointer,
          'workflow.unknown_name',
          `"${root}" is not in scope here. ${suggestion(root, visible.roots)}In scope: ${visible.roots.join(', ')}.`,
        );
      else if (root === 'steps' && name !== undefined && !visible.steps.includes(name))
        this.step(name, pointer, visible);
      else if (root === 'inputs' && name !== undefined && visible.inputs?.includes(name) === false)
        this.report.at(
          pointer,
          'workflow.unknown_name',
          `There is no input "${name}". ${suggestion(name, visible.inputs)}Inputs: ${visible.inputs.join(', ') || 'none'}.`,
        );
    }
  }

  private step(name: string, pointer: string, visible: Visible): void {
    const detail = this.allSteps.has(name)
      ? `The step "${name}" is not done yet at this place, or is inside a loop.`
      : `There is no step "${name}". ${suggestion(name, visible.steps)}`;
    const before = visible.steps.length === 0 ? 'No step comes before.' : `Steps before: ${visible.steps.join(', ')}.`;
    this.report.at(pointer, 'workflow.unknown_step', `${detail.trim()} ${before}`);
  }
}

/** `${{ expression }}` without its braces; text that is more than one template stays as it is. */
function unwrapped(text: string): string {
  const match = /^\s*\$\{\{(.*)\}\}\s*$/s.exec(text);
  return match && !match[1]!.includes('${{') ? match[1]! : text;
}
