import type { EventDecisionAnswer } from '#libs/events/src/shapes/decision-shape.js';
import type { RuleAnswer, RuleWarning, SavedRule } from '#libs/events/src/shapes/rule-shape.js';

/** What the API answers about rules, as much of it as is shown. */

export type { RuleVersionAnswer as RuleVersion } from '#libs/events/src/shapes/rule-shape.js';

/** `line` and `column` are in the text of a workflow; `column` alone is in the value at the pointer. */
export type Warning = RuleWarning & { readonly line?: number };

/** A rule as it is answered, with its warnings where it was saved. */
export type Rule = RuleAnswer & Partial<Pick<SavedRule, 'warnings'>>;

/** What a rule or a workflow made of an event. */
export type Decision = EventDecisionAnswer;

/** The condition that decided against a rule, and what it saw. */
export type Failed = NonNullable<Decision['failed']>;

export interface Why {
  readonly eventId: string;
  readonly type: string;
  readonly source: string;
  readonly decided: boolean;
  readonly decisions: number;
  readonly rules: number;
  readonly nearest: readonly {
    readonly ruleId: string;
    readonly ruleName: string;
    readonly reason: string;
    readonly eventSource: string;
    readonly eventType: string;
  }[];
  readonly nearestTriggers: readonly {
    readonly workflow: string;
    readonly trigger: number;
    readonly reason: string;
    readonly event: readonly string[];
    readonly source: readonly string[];
  }[];
}

export type { RuleTrial as Trial } from '#libs/events/src/shapes/rule-trial-shape.js';

export interface Sample {
  readonly eventId: string;
  readonly type: string;
  readonly subject: string;
  readonly timestamp: string;
  readonly outcome?: string;
  readonly failed?: Failed;
  readonly error?: string;
}

interface Counts {
  readonly matched: number;
  readonly notMatched: number;
  readonly throttled: number;
  readonly errored: number;
  readonly notNamed: number;
}

export interface BacktestResult extends Counts {
  readonly scanned: number;
  readonly samples: readonly Sample[];
  readonly reasons: readonly { readonly pointer: string; readonly condition: string; readonly count: number }[];
  readonly difference?: {
    readonly ruleId: string;
    readonly version: number;
    readonly both: number;
    readonly onlyDraft: { readonly count: number; readonly samples: readonly Sample[] };
    readonly onlyOther: { readonly count: number; readonly samples: readonly Sample[] };
    readonly other: Counts;
  };
  readonly throttleExact: boolean;
  readonly warnings: readonly Warning[];
  readonly elapsedMs: number;
}

export interface BacktestProgress {
  readonly scanned: number;
  readonly total: number;
  readonly percent: number;
  readonly rate: number;
}

/** One line of a streamed backtest. */
export interface BacktestLine {
  readonly progress?: BacktestProgress;
  readonly result?: BacktestResult;
  readonly error?: { readonly code: string; readonly detail: string };
}
