import type { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import type { Egress } from '#libs/egress/src/egress.js';
import type { AgentSettings } from '#libs/events/src/shapes/agents/agent-shape.js';
import type { PlatformEvent } from '#libs/events/src/envelope.js';
import type { Clock } from '#libs/kernel/src/clock.js';

import type { ExecutionDraft, Running } from '../engine/execution-state.js';
import type { SecretValuesOf } from './secret-references.js';

/**
 * THE CONTRACT OF A RUNTIME: one file says how agents of one kind run, and one line of `registry.ts` lists it. Its `config`
 * is in `agent-config-shape.ts`.
 */
export interface Runtime {
  /** Milliseconds from the start to the result; `undefined` where something else limits it. */
  timeLimit(config: object): number | undefined;
  /**
   * What happens next in an execution that has not ended. Pure but for `call`, which runs after the drafts are recorded:
   * the intent is in the log before the effect. After a crash the same execution is decided again from its events.
   */
  decide(turn: Turn): Move;
}

/** Everything that a runtime sees of an execution. */
export interface Turn {
  readonly execution: Running;
  /** As they were at the start. */
  readonly settings: AgentSettings;
  readonly orgId: string;
  readonly input: unknown;
  /** The event that led to it. */
  readonly event: PlatformEvent | undefined;
  /** Where the log keeps it. */
  readonly eventAt: { readonly stream: string; readonly revision: string } | undefined;
  readonly now: Date;
  readonly world: World;
  /** Whether the execution ended from outside: it was cancelled. */
  hasEnded(): boolean;
  /** Of the agent, in plain text: the newest first. */
  secrets(): Promise<readonly string[]>;
}

/** What calls need. */
export interface World {
  readonly clock: Clock;
  readonly egress: Egress;
  /** Absolute paths of the programs that may be run. */
  readonly agentCommands: readonly string[];
  readonly secretValues: SecretValuesOf;
  /** Milliseconds between looks at a task of another agent. */
  readonly pollMs: number;
  /** Events that a tool may look for. */
  readonly events: Pick<EventReader, 'page'>;
  /** How the outside reaches this server, without a trailing slash. */
  readonly publicUrl: string;
  /** The token with which an agent delivers the result of one execution later. */
  callbackToken(orgId: string, executionId: string): Promise<string>;
}

export interface Move {
  /** Recorded first, in one append. */
  readonly drafts: readonly ExecutionDraft[];
  /** Done then; what it gives is recorded. Absent: there is nothing to do until something else happens. */
  readonly call?: (signal: AbortSignal) => Promise<readonly ExecutionDraft[]>;
}

/** Nothing to do until something else happens. */
export const WAIT: Move = { drafts: [] };

/** What is kept of an answer. */
export const MAX_OUTPUT_BYTES = 256 * 1024;
