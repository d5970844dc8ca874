import { SECRET_NAME_IN_WORDS } from '#libs/events/src/shapes/secret-shape.js';
import { compile, type CompiledExpression } from '#libs/expressions/src/compile.js';
import { lint, type LintWarning } from '#libs/expressions/src/lint.js';
import { fieldOf, type JsonSchema } from '#libs/expressions/src/schema.js';
import { type CompiledTemplate, compileTemplate, secretIn } from '#libs/expressions/src/template.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import type { Json } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';

import { type Reference, references } from './references.js';
import { scopeSchema, type Visible } from './scope-schema.js';
import type { SourceProblems } from './source-problems.js';

export const emptyTemplate: CompiledTemplate = compileTemplate({});

/**
 * Compiles the expressions of a workflow, and checks that what they name exists. A name that is never there is a problem;
 * a field that a value of its schema does not have is a warning.
 */
export class Expressions {
  /** What is known of the outputs of steps, by id. */
  readonly outputs = new Map<string, JsonSchema | undefined>();
  /** Names of the secrets that are used. */
  readonly secrets = new Set<string>();

  constructor(
    private readonly problems: SourceProblems,
    /** Ids of all steps, to tell a later step from one that does not exist. */
    private readonly allSteps: { has(id: string): boolean } = new Set<string>(),
  ) {}

  /** A condition; `${{ }}` around it may be left out. */
  condition(value: unknown, pointer: string, visible: Visible): CompiledExpression | undefined {
    if (typeof value === 'boolean') return compile(value ? '`true`' : '`false`');
    if (typeof value !== 'string') return undefined;
    const inner = unwrapped(value);
    return this.expression(inner, pointer, visible, value.indexOf(inner));
  }

  /** @param offset of the expression in the text at the pointer. */
  expression(source: string, pointer: string, visible: Visible, offset = 0): CompiledExpression | undefined {
    try {
      const compiled = compile(source);
      this.check(source, pointer, visible, offset);
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
      for (const { pointer: place, column, expression } of compiled.expressions)
        this.check(expression.source, place, visible, column - 1);
      return compiled;
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      for (const problem of error.problems)
        this.problems.add(problem.pointer, problem.code ?? error.code, `The expression is invalid: ${problem.detail}`);
      return undefined;
    }
  }

  private check(source: string, pointer: string, visible: Visible, offset: number): void {
    const before = this.problems.found.length;
    for (const reference of references(source)) this.checkName(reference, source, pointer, visible);
    if (this.problems.found.length > before) return;
    this.problems.suspect(() => {
      for (const warning of lint(source, { schema: scopeSchema(visible, this.outputs) }))
        this.problems.warn(pointer, warning.code, inSentence(warning), offset + warning.column - 1);
    });
  }

  private checkName([root, name]: Reference, source: string, pointer: string, visible: Visible): void {
    if (root === undefined) return;
    if (root === 'secrets') this.secret(source, pointer, visible);
    else if (!Object.hasOwn(visible.roots, root))
      this.problems.add(
        pointer,
        'workflow.unknown_name',
        `"${root}" is not in scope here. ${meant(root, source, visible)}In scope: ${Object.keys(visible.roots).join(', ')}.`,
      );
    else if (root === 'steps' && name !== undefined && !visible.steps.includes(name)) this.step(name, pointer, visible);
    else if (root === 'inputs' && name !== undefined && visible.inputs?.includes(name) === false)
      this.problems.add(
        pointer,
        'workflow.unknown_name',
        `There is no input "${name}". ${suggestion(name, visible.inputs)}Inputs: ${visible.inputs.join(', ') || 'none'}.`,
      );
    else if (root === 'vars' && name !== undefined && visible.vars?.includes(name) === false)
      this.problems.add(
        pointer,
        'workflow.unknown_name',
        `No step sets "vars.${name}". ${suggestion(name, visible.vars)}Set: ${visible.vars.join(', ') || 'nothing'}.`,
      );
  }

  private secret(source: string, pointer: string, visible: Visible): void {
    const name = secretIn(source);
    if (!Object.hasOwn(visible.roots, 'secrets'))
      this.problems.add(
        pointer,
        'workflow.secret_not_allowed',
        'Must have no secrets: what stands here is kept in the log. Use secrets in "with" of http, send_webhook and steps of plug-ins with effects.',
      );
    else if (name === undefined)
      this.problems.add(
        pointer,
        'workflow.secret_in_expression',
        `A secret must be a template of its own: \${{ secrets.NAME }}, with a name of ${SECRET_NAME_IN_WORDS}. Text may stand around it. Expressions cannot compute with a secret.`,
      );
    else {
      this.secrets.add(name);
      this.problems.checkReference('secret', name, pointer);
    }
  }

  private step(name: string, pointer: string, visible: Visible): void {
    const detail = this.allSteps.has(name)
      ? `The step "${name}" runs later, or inside a loop.`
      : `There is no step "${name}". ${suggestion(name, visible.steps)}`;
    const before =
      visible.steps.length === 0 ? 'There is no earlier step.' : `Earlier steps: ${visible.steps.join(', ')}.`;
    this.problems.add(pointer, 'workflow.unknown_step', `${detail.trim()} ${before}`);
  }
}

/** What was probably meant by a name that is not in scope, in a sentence. */
function meant(name: string, source: string, { roots }: Visible): string {
  if (['true', 'false', 'null'].includes(name)) return `Write the value in backticks: \`${name}\`. `;
  if (source.includes(`"${name}"`)) return `Double quotes make it a name. Write a text in single quotes: '${name}'. `;
  const { event, data } = roots;
  const inEvent = event?.properties?.['data'];
  const places: Readonly<Record<string, JsonSchema | undefined>> = { data, event, 'event.data': inEvent };
  const has = (schema: JsonSchema | undefined) => schema !== undefined && typeof fieldOf(schema, name) === 'object';
  const path = Object.keys(places).find((key) => has(places[key]));
  return path === undefined ? suggestion(name, Object.keys(roots)) : `Did you mean "${path}.${name}"? `;
}

const inSentence = ({ message }: LintWarning): string =>
  `${message.charAt(0).toUpperCase()}${message.slice(1).replace(/\.?$/, '.')}`;

/** `${{ expression }}` without its braces; text that is more than one template stays as it is. */
function unwrapped(text: string): string {
  const match = /^\s*\$\{\{(.*)\}\}\s*$/s.exec(text);
  return match && !match[1]!.includes('${{') ? match[1]! : text;
}
