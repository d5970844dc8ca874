import { Type } from '@sinclair/typebox';

import type { DataOf } from '#libs/events/src/catalogue.js';
import type { CompiledTemplate } from '#libs/expressions/src/template.js';
import { isObject } from '#libs/kernel/src/json.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { uuid5 } from '#libs/kernel/src/ids.js';
import { StepError } from '#libs/plugin-sdk/src/define-step.js';

import { closed, stepShape, Template, whole } from '../../language/fields.js';
import { InputShape, type InputSpecs } from '../../language/inputs.js';
import { readInputs } from '../../language/read-inputs.js';
import { AWAITING } from '../kind/awaiting.js';
import { failure } from '../kind/step-failure.js';
import { evaluating } from '../kind/step-input.js';
import type { KeywordKind, Progress, StepDecision } from '../kind/step-kind.js';
import { lengthOf, readLimit, readOnTimeout } from './time-limit.js';

const DEFAULT_APPROVERS = ['admin', 'designer'];
/** A link is in messages, which are kept. */
const MAX_LINK_MS = 30 * 86_400_000;

export const isRole = (name: string): boolean => ['admin', 'designer', 'integrator', 'auditor'].includes(name);

interface ApprovalFields {
  readonly title: CompiledTemplate | undefined;
  readonly description: CompiledTemplate | undefined;
  readonly form: InputSpecs;
  readonly approvers: readonly string[];
  readonly count: number;
  readonly selfApproval: boolean;
  readonly links: boolean;
  readonly limit: CompiledTemplate | undefined;
  readonly onTimeout: 'fail' | 'continue';
  readonly onReject: 'fail' | 'continue';
}

const outcome = (description: string) =>
  Type.Optional(Type.Union([Type.Literal('fail'), Type.Literal('continue')], { description }));
const Approval = closed(
  {
    title: Template,
    description: Type.Optional(Template),
    form: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: 'What an approver fills in: inputs as those of a manual trigger.',
        expected: 'an object of names and inputs',
        inEditors: Type.Record(Type.String(), InputShape),
      }),
    ),
    approvers: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        minItems: 1,
        maxItems: 50,
        description: 'Roles and names of tokens. Default: admin and designer.',
      }),
    ),
    count: Type.Optional(whole(1, 20, 'So many approvals are needed. Default 1.')),
    selfApproval: Type.Optional(
      Type.Boolean({ description: 'Whether the person who started the run may approve. Default false.' }),
    ),
    links: Type.Optional(
      Type.Boolean({
        description: 'Whether `approval.requested` has links with which approvers decide without a token.',
      }),
    ),
    timeout: Type.Optional(Template),
    onTimeout: outcome('Default fail.'),
    onReject: outcome('Default fail.'),
  },
  'What is to be approved, and by whom.',
);

/** Waits until people approve or reject: a request that they answer through the API. */
export const approvalStep: KeywordKind<ApprovalFields> = {
  form: 'keyword',
  name: 'approval',
  shape: stepShape({ approval: Approval }, 'Waits until people approve or reject.'),
  outputSchema: Type.Object({
    approved: Type.Boolean(),
    timedOut: Type.Boolean(),
    by: Type.Optional(Type.String()),
    comment: Type.Optional(Type.String()),
    form: Type.Optional(Type.Unknown()),
    votes: Type.Optional(Type.Array(Type.Unknown())),
  }),
  pace: 'lasting',
  outcomes: ['approval.decided'],
  events: {
    ...(AWAITING as object),
    'approval.requested': {
      evolve: (step) => ({ ...step, requested: { type: 'approval.requested' } }),
      show(shown, { title, until, approvers }) {
        const end = until === undefined ? '' : ` until ${until}`;
        const waiting = `waiting for approval by ${approvers.join(' or ')}${end}`;
        // Of an erased person it is no text any more.
        const about = typeof title === 'string' ? `: ${title}` : '';
        Object.assign(shown, { status: 'waiting', waiting: waiting + about });
      },
    },
  },

  read({ approval: value }, reading) {
    const { pointer, visible, expressions, problems } = reading;
    const at = `${pointer}/approval`;
    const raw = isObject(value) ? (value as Readonly<Record<string, unknown>>) : {};
    const { approvers, count, onReject } = raw;
    const names = Array.isArray(approvers) ? (approvers as string[]) : DEFAULT_APPROVERS;
    if (raw['links'] === true && raw['selfApproval'] !== true && names.some(isRole))
      problems.add(
        `${at}/links`,
        'workflow.bad_value',
        'Must not be true while "approvers" has a role: such a link does not tell who decides. Name tokens, or set "selfApproval: true".',
      );
    const template = (key: string) =>
      typeof raw[key] === 'string' ? expressions.template(raw[key], `${at}/${key}`, visible) : undefined;
    return {
      title: template('title'),
      description: template('description'),
      form: readInputs(raw['form'], `${at}/form`, problems),
      approvers: names,
      count: typeof count === 'number' ? count : 1,
      selfApproval: raw['selfApproval'] === true,
      links: raw['links'] === true,
      limit: readLimit(raw['timeout'], `${at}/timeout`, reading),
      onTimeout: readOnTimeout(raw, at, reading),
      onReject: onReject === 'continue' ? 'continue' : 'fail',
    };
  },

  decide(step, decision) {
    if (!decision.open?.awaiting.length) {
      // Who signs is beside the worker.
      if (step.links && !decision.canSign()) return 'open';
      begin(step, decision);
    }
    const decided = decision.outcomeOf(decision.open!.awaiting[0]!);
    if (decided?.type === 'approval.decided') return end(step, decision, decided.data);
    if (!decision.open!.timer || !decision.isDue('wait')) return 'open';
    const output = { approved: false, timedOut: true };
    if (step.onTimeout === 'continue') return decision.completed(output);
    const message = `Nobody decided before ${decision.open!.timer.at}. The step waited for ${step.approvers.join(', ')}.`;
    return decision.failed(failure('approval.timeout', message, decision.path), output);
  },
};

function begin(
  { title, description, form, approvers, count, selfApproval, links: hasLinks, limit }: ApprovalFields,
  decision: StepDecision,
) {
  const scope = decision.scope();
  const shownTitle = textOf(title, scope);
  const details = textOf(description, scope);
  if (!shownTitle)
    throw new StepError({
      code: 'approval.no_title',
      message: 'The title of the approval is empty.',
      retryable: false,
    });
  if (limit) decision.setTimer('wait', lengthOf(limit, scope));
  const until = decision.open?.timer?.at;
  const { runId, path } = decision;
  const requestId = uuid5('run-approval', runId, path, decision.now.toISOString());
  const expires = Math.min(until === undefined ? Infinity : Date.parse(until), decision.now.getTime() + MAX_LINK_MS);
  const about = { runId, path, requestId, expires };
  const named = approvers.filter((name) => !isRole(name)).map((approver) => ({ approver }));
  const links = (hasLinks ? [...named, ...(named.length < approvers.length ? [{}] : [])] : []).flatMap((whose) => {
    const pair = decision.approvalLinks({ ...about, ...whose });
    return pair ? [{ ...whose, ...pair }] : [];
  });
  const data: DataOf<'approval.requested'> = {
    runId,
    path,
    stepId: path.slice(path.lastIndexOf('.') + 1),
    workflowId: decision.start.workflowId,
    workflow: decision.start.workflow,
    requestId,
    title: shownTitle,
    ...(details && { description: details }),
    form: { ...form },
    approvers: [...approvers],
    count,
    selfApproval,
    ...(until !== undefined && { until }),
    ...(links.length > 0 && { links }),
  };
  decision.append({ type: 'approval.requested', data, id: requestId });
  decision.record('run.step_awaiting', { requestId, input: { title: shownTitle, approvers, count } });
}

const MAX_TEXT = 2_000;

function textOf(template: CompiledTemplate | undefined, scope: unknown): string {
  const text = evaluating(() => template?.render(scope) ?? '');
  return (typeof text === 'string' ? text : stringifyJson(text)).trim().slice(0, MAX_TEXT);
}

function end(step: ApprovalFields, decision: StepDecision, decided: DataOf<'approval.decided'>): Progress {
  const { approved, votes } = decided;
  const { by, comment, form } = votes.at(-1)!;
  const said = { by, ...(comment !== undefined && { comment }) };
  if (approved) return decision.completed({ approved, timedOut: false, ...said, ...(form && { form }), votes });
  const output = { approved, timedOut: false, ...said };
  if (step.onReject === 'continue') return decision.completed(output);
  const message = `${by} rejected it${comment === undefined ? '.' : `: ${comment}`}`;
  return decision.failed(failure('approval.rejected', message, decision.path), output);
}
