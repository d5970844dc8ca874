import type { DataOf } from '#libs/events/src/catalogue.js';

/** A call of the model; without `answer` it is under way, or its process died. */
export interface ModelCall {
  readonly kind: 'model';
  readonly number: number;
  readonly called: DataOf<'agent.model_called'>;
  readonly answer?: DataOf<'agent.model_answered'>;
}

/** A call of a tool. One that is refused without a call has an answer alone. */
export interface ToolCall {
  readonly kind: 'tool';
  readonly number: number;
  readonly toolCallId: string;
  readonly called?: DataOf<'agent.tool_called'>;
  /** Nobody knows what became of it. */
  readonly isUnknown?: boolean;
  readonly answer?: DataOf<'agent.tool_answered'>;
}

export interface Approval {
  readonly requested: DataOf<'agent.approval_requested'>;
  readonly requestedAt: string;
  readonly decided?: DataOf<'agent.approval_decided'>;
}

/** What an execution has done that a model directs. */
export interface ModelWork {
  /** The servers of tools are being asked, or were when the process died. */
  readonly isAskingForTools?: true;
  /** Absent until the servers of tools have answered. */
  readonly tools?: DataOf<'agent.tools_listed'>['tools'];
  readonly calls: readonly (ModelCall | ToolCall)[];
  readonly approvals: readonly Approval[];
}

export const NO_WORK: ModelWork = { calls: [], approvals: [] };

/** Pure and total. */
export function worked(work: ModelWork, type: string, data: unknown, timestamp: string): ModelWork {
  switch (type) {
    case 'agent.tools_requested':
      return { ...work, isAskingForTools: true };
    case 'agent.tools_listed':
      return { ...work, tools: (data as DataOf<'agent.tools_listed'>).tools };
    case 'agent.model_called': {
      const called = data as DataOf<'agent.model_called'>;
      return withCall(work, { kind: 'model', number: called.call, called });
    }
    case 'agent.model_answered': {
      const answer = data as DataOf<'agent.model_answered'>;
      return change(work, answer.call, (call) => (call.kind === 'model' ? { ...call, answer } : call));
    }
    case 'agent.tool_called': {
      const called = data as DataOf<'agent.tool_called'>;
      return withCall(work, { kind: 'tool', number: called.call, toolCallId: called.toolCallId, called });
    }
    case 'agent.tool_answered': {
      const answer = data as DataOf<'agent.tool_answered'>;
      const known = work.calls.some(({ number }) => number === answer.call);
      if (!known) return withCall(work, { kind: 'tool', number: answer.call, toolCallId: answer.toolCallId, answer });
      return change(work, answer.call, (call) => (call.kind === 'tool' ? { ...call, answer } : call));
    }
    case 'agent.tool_unknown': {
      const { call: number } = data as DataOf<'agent.tool_unknown'>;
      return change(work, number, (call) => (call.kind === 'tool' ? { ...call, isUnknown: true } : call));
    }
    case 'agent.approval_requested':
      return {
        ...work,
        approvals: [
          ...work.approvals,
          { requested: data as DataOf<'agent.approval_requested'>, requestedAt: timestamp },
        ],
      };
    case 'agent.approval_decided': {
      const decided = data as DataOf<'agent.approval_decided'>;
      return {
        ...work,
        approvals: work.approvals.map((one) =>
          one.requested.approvalId === decided.approvalId && !one.decided ? { ...one, decided } : one,
        ),
      };
    }
    default:
      return work;
  }
}

/** A tool that is called once more keeps its number: the last call stands. */
const withCall = (work: ModelWork, call: ModelCall | ToolCall): ModelWork => ({
  ...work,
  calls: [...work.calls.filter(({ number }) => number !== call.number), call],
});

const change = (
  work: ModelWork,
  number: number,
  to: (call: ModelCall | ToolCall) => ModelCall | ToolCall,
): ModelWork => ({ ...work, calls: work.calls.map((call) => (call.number === number ? to(call) : call)) });

/** What waits for a person. */
export const openApproval = ({ approvals }: ModelWork): Approval | undefined =>
  approvals.find(({ decided }) => !decided);

/** Tokens and cents so far. */
export function usageOf({ calls }: ModelWork) {
  const answers = calls.flatMap((call) => (call.kind === 'model' && call.answer ? [call.answer.usage] : []));
  if (answers.length === 0) return undefined;
  const sum = (of: (usage: (typeof answers)[number]) => number): number =>
    answers.reduce((all, one) => all + of(one), 0);
  const hasCost = answers.some(({ costCents }) => costCents !== undefined);
  return {
    inputTokens: sum(({ inputTokens }) => inputTokens),
    outputTokens: sum(({ outputTokens }) => outputTokens),
    ...(hasCost && { costCents: sum(({ costCents = 0 }) => costCents) }),
  };
}
