import type { Caller } from '#libs/access/src/caller.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import type { ApprovalVote } from '#libs/events/src/shapes/agents/execution-shape.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { appendToExecution, type ReadExecution, type RequestPlace } from './execution-stream.js';

/**
 * Records what a person decided about the call of a tool. It binds the arguments as they were shown. The same decision
 * again changes nothing.
 * @throws Rejected `agent.no_approval`, `agent.approval_decided`, `agent.result_unasked`
 */
export function decideApproval(
  { store, clock }: { readonly store: EventStore; readonly clock: Clock },
  { executionId, request, approvalId }: { executionId: string; request: RequestPlace; approvalId: string },
  { actor }: Pick<Caller, 'actor'>,
  { decision, comment, result }: ApprovalVote,
): Promise<ReadExecution> {
  const target = { executionId, request, actor };
  return appendToExecution(
    store,
    target,
    () => clock.now(),
    ({ state }, now) => {
      const approvals = state.kind === 'running' ? state.work.approvals : [];
      const approval = approvals.find(({ requested }) => requested.approvalId === approvalId);
      if (!approval)
        throw new Rejected('not_found', 'agent.no_approval', `The execution ${executionId} asks for no such approval.`);
      const { requested, requestedAt, decided } = approval;
      const isResult = decision === 'approve' && result !== undefined;
      if (isResult && requested.reason !== 'unknown')
        throw new Rejected(
          'invalid',
          'agent.result_unasked',
          'The tool was not called yet, so it has no result. Leave "result" out.',
          { problems: [{ pointer: '/result', detail: 'Must be left out: the tool was not called yet.' }] },
        );
      const taken = isResult ? 'result' : decision;
      if (decided?.decision === taken) return [];
      if (decided)
        throw new Rejected('conflict', 'agent.approval_decided', `It was decided before: ${decided.decision}.`);
      return [
        {
          type: 'agent.approval_decided',
          data: {
            executionId,
            approvalId,
            decision: taken,
            ...(comment !== undefined && { comment }),
            ...(isResult && { result }),
            argumentsSha256: requested.argumentsSha256,
            by: actor,
            waitedMs: Math.max(0, now.getTime() - Date.parse(requestedAt)),
          },
        },
      ];
    },
  );
}
