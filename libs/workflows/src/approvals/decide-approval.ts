import type { Caller } from '#libs/access/src/caller.js';
import { type EventStore, type RecordedEvent, WrongRevision } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { causedBy } from '#libs/events/src/envelope.js';
import type { ApprovalDecision } from '#libs/events/src/shapes/run-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { uuid5 } from '#libs/kernel/src/ids.js';

import { type InputSpecs, inputsOf } from '../language/inputs.js';
import { isRole } from '../steps/waiting/approval.step.js';
import { waitsOf } from '../waits/open-waits.js';
import { startersOf } from './run-starters.js';

const MAX_TRIES = 20;

export interface Approver extends Pick<Caller, 'orgId' | 'actor' | 'roles'> {
  /** Name of the token. */
  readonly name: string | undefined;
  /** Decides through a link: one for the token that is named, or for anybody who has it. */
  readonly link?: 'named' | 'anybody';
}

type Requested = RecordedEvent<'approval.requested'>;

/**
 * Records a vote, and with the one that decides the decision, in one append. The same vote of the same person again
 * changes nothing.
 * @returns the position of what was recorded.
 * @throws Rejected
 */
export async function decideApproval(
  store: EventStore,
  { runId, path, requestId }: { readonly runId: string; readonly path: string; readonly requestId?: string },
  who: Approver,
  vote: ApprovalDecision,
  now: () => Date,
): Promise<bigint> {
  for (let tries = 1; ; tries++) {
    const run = (await readWhole(store, streams.run(runId))).filter((event) => event.isReadable);
    const request = run.findLast(
      (event): event is Requested => event.is('approval.requested') && event.data.path === path,
    );
    if (!request || request.metadata.orgId !== who.orgId || (requestId !== undefined && requestId !== request.id))
      throw new Rejected(
        'not_found',
        'approval.not_found',
        `No step "${path}" of the run ${runId} asks for an approval.`,
      );
    const stream = streams.approval(request.id);
    const before = await readWhole(store, stream);
    const votes = before.flatMap((event) => (event.is('approval.voted') ? [event] : []));
    const own = votes.find(({ data }) => data.by === who.actor);
    if (own?.data.decision === vote.decision) return before.at(-1)!.position;
    if (own) throw new Rejected('conflict', 'approval.voted', `You decided before: ${own.data.decision}.`);
    const at = now();
    const { until } = request.data;
    const isLate = until !== undefined && at.getTime() > Date.parse(until);
    if (isLate || before.some(({ type }) => type === 'approval.decided') || !waitsOf(run).open.has(request.id))
      throw new Rejected(
        'conflict',
        'approval.over',
        'This approval is no longer open: it was decided, or its time is over.',
      );
    await checkApprover(store, runId, request.data, who);
    const said = voteOf(request.data, who, at, vote);
    const all = [...votes.map(({ data }) => voteIn(data)), said];
    const approvals = all.filter(({ decision }) => decision === 'approve').length;
    const about = { runId, path, requestId: request.id };
    const isDecided = vote.decision === 'reject' || approvals >= request.data.count;
    const drafts = [
      { type: 'approval.voted', data: { ...about, ...said } },
      ...(isDecided
        ? [{ type: 'approval.decided', data: { ...about, approved: vote.decision === 'approve', votes: all } }]
        : []),
    ];
    const expected = before.at(-1)?.revision ?? 'no-stream';
    const context = { orgId: who.orgId, actor: who.actor, now: at, subject: `run/${runId}`, cause: causedBy(request) };
    const events = drafts.map((draft) =>
      newEvent(draft, { ...context, id: uuid5(draft.type, request.id, who.actor, at.toISOString()) }),
    );
    try {
      return (await store.append(stream, events, expected)).position;
    } catch (error) {
      if (!(error instanceof WrongRevision) || tries === MAX_TRIES) throw error;
    }
  }
}

async function checkApprover(
  store: EventStore,
  runId: string,
  { approvers, selfApproval }: DataOf<'approval.requested'>,
  { actor, roles, name, link }: Approver,
): Promise<void> {
  // `admin` includes all other roles, but stands for no token.
  const asRole = roles.some((role) => approvers.includes(role)) || (roles.includes('admin') && approvers.some(isRole));
  const isAllowed = link === 'anybody' || asRole || (name !== undefined && approvers.includes(name));
  if (!isAllowed)
    throw new Rejected('forbidden', 'approval.not_approver', `Only ${approvers.join(' or ')} may decide this.`);
  if (selfApproval) return;
  if ((await startersOf(store, runId)).has(actor))
    throw new Rejected(
      'forbidden',
      'approval.own_run',
      'You started this run or one that led to it. Another person must decide.',
    );
}

function voteOf({ form }: DataOf<'approval.requested'>, { actor, link }: Approver, at: Date, vote: ApprovalDecision) {
  const { decision, comment } = vote;
  const values = decision === 'approve' ? formOf(form as InputSpecs, vote.form ?? {}) : {};
  return {
    decision,
    by: actor,
    at: at.toISOString(),
    ...(link && { via: 'link' as const }),
    ...(comment !== undefined && { comment }),
    ...(Object.keys(values).length > 0 && { form: values }),
  };
}

function formOf(form: InputSpecs, given: Record<string, unknown>): Record<string, unknown> {
  try {
    return inputsOf(form, given, '/form');
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    throw new Rejected('invalid', 'approval.bad_form', 'The values of the form are invalid.', {
      problems: error.problems,
    });
  }
}

const voteIn = ({ decision, by, at, via, comment, form }: DataOf<'approval.voted'>) => ({
  decision,
  by,
  at,
  ...(via && { via }),
  ...(comment !== undefined && { comment }),
  ...(form && { form }),
});
