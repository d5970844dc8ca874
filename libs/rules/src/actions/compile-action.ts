import type { Static } from '@sinclair/typebox';

import { ACTION_REQUESTS } from '#libs/events/src/types/actions/action.events.js';
import type { RuleAction } from '#libs/events/src/shapes/rule-shape.js';
import { shapeProblems } from '#libs/events/src/shapes/shape-check.js';
import {
  type CompiledTemplate,
  compileTemplate,
  renderMarked,
  secretIn,
  unmarked,
} from '#libs/expressions/src/template.js';
import type { Cost } from '#libs/expressions/src/values.js';
import type { Json, JsonObject } from '#libs/kernel/src/json.js';
import type { Problems } from '#libs/kernel/src/problems.js';

import type { ActionKind, ActionRequest, RequestContext } from './action-kind.js';
import { builtInActions, isBuiltIn } from './built-in.js';

const OF_PLUGIN = 'action.requested';

/** One action of a rule, ready to be filled in. */
export interface CompiledAction {
  readonly type: string;
  readonly templates: CompiledTemplate['expressions'];
  /** Names of the secrets that are put in when the request is carried out. */
  readonly secrets: readonly { readonly name: string; readonly pointer: string; readonly column: number }[];
  /**
   * The request as it is to be recorded.
   * @param cost shared by all actions of the rule.
   * @throws Rejected `action.unfit` if a template gave something that the action cannot use, `expression.too_costly`.
   */
  request(event: unknown, context: RequestContext, cost: Cost): ActionRequest;
  /** `with`, filled in: what a person wants to see of it. @throws Rejected `expression.too_costly` */
  render(event: unknown, cost: Cost): Json;
}

/**
 * Compiles one action; `undefined`, with problems noted, if it is wrong. One of a plug-in is asked for whatever becomes of
 * its plug-in, and waits: which actions there are is checked when a rule is saved.
 * @param rule its name.
 */
export function compileAction(
  { type, with: given = {} }: Static<typeof RuleAction>,
  pointer: string,
  rule: string,
  problems: Problems,
): CompiledAction | undefined {
  const at = `${pointer}/with`;
  const kind: ActionKind | undefined = isBuiltIn(type) ? builtInActions[type] : undefined;
  if (kind) {
    problems.addAll(shapeProblems(kind.with, given, { prefix: 'rule', pointer: at }));
    if (problems.isFine(at)) kind.check?.(given, at, problems);
  }
  const template = problems.attempt(() => compileTemplate(given as JsonObject, at));
  if (!template) return undefined;
  // What leaves by an action of a plug-in is for its plug-in to say.
  const takesSecrets = kind === undefined || kind.takesSecrets === true;
  const render = (event: unknown, cost: Cost): Json =>
    takesSecrets ? renderMarked(template, event, cost) : template.render(event, cost);
  return {
    type,
    templates: template.expressions.filter(({ expression }) => !takesSecrets || !secretIn(expression.source)),
    secrets: template.expressions.flatMap(({ pointer: place, column, expression }) => {
      const name = takesSecrets ? secretIn(expression.source) : undefined;
      return name === undefined ? [] : [{ name, pointer: place, column }];
    }),
    render: (event, cost) => unmarked(render(event, cost)).value,
    request: (event, context, cost) => {
      const filled = render(event, cost) as JsonObject;
      const asked = kind ? kind.request(filled, rule) : { action: type, input: filled };
      const { value, places } = takesSecrets ? unmarked(asked) : { value: asked, places: [] };
      const request = {
        type: isBuiltIn(type) ? ACTION_REQUESTS[type] : OF_PLUGIN,
        data: { ...context, ...value, ...(places.length > 0 && { secrets: places }) },
      };
      // Each kind gives what its own event wants: the registry is typed so.
      return request as ActionRequest;
    },
  };
}
