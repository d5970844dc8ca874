import type { EventDecisionAnswer } from '#libs/events/src/shapes/decision-shape.js';

import type { NoVerdictReason, SeenEvent } from './nearness.js';

/** Which decisions are asked for: those on an event whose key comes after another. */
export interface DecisionQuery {
  readonly orgId: string;
  readonly eventId: string;
  readonly after: string;
}

/** A decision, with the key by which those on one event are ordered. It begins with the id of who decided. */
export interface KeyedDecision {
  readonly key: string;
  readonly shown: EventDecisionAnswer;
}

export interface DecisionSource {
  /** By their keys, at most `limit`. */
  decisionsOn?(query: DecisionQuery, limit: number): Promise<readonly KeyedDecision[]>;
  /** Those of these requests that cannot be carried out yet, since what they name does not exist. */
  waitingRequests?(orgId: string, requests: readonly string[]): Promise<readonly WaitingRequest[]>;
  /** Triggers of workflows without a decision on the event, the nearest first. */
  nearestTriggers?(orgId: string, eventId: string, event: SeenEvent, most: number): Promise<readonly NearTrigger[]>;
}

/** A request that waits for something that does not exist. */
export interface WaitingRequest {
  readonly requestId: string;
  /** Code of the reason. */
  readonly waiting: string;
  readonly detail: string;
}

/** A trigger of a workflow that has no decision on an event. */
export interface NearTrigger {
  readonly workflowId: string;
  readonly workflow: string;
  /** Place of the trigger in the text. */
  readonly trigger: number;
  readonly reason: NoVerdictReason;
  /** What it names: types and sources, as globs. */
  readonly event: readonly string[];
  readonly source: readonly string[];
}

/** Who decides about events, stage by stage: each adds itself, and lists of decisions ask all of them. */
export class DecisionSources {
  private readonly sources: DecisionSource[] = [];

  add(source: DecisionSource): void {
    this.sources.push(source);
  }

  async decisionsOn(query: DecisionQuery, limit: number): Promise<readonly KeyedDecision[]> {
    const found = await Promise.all(
      this.sources.map(async (source) => (await source.decisionsOn?.(query, limit)) ?? []),
    );
    return found
      .flat()
      .sort((one, other) => (one.key < other.key ? -1 : 1))
      .slice(0, limit);
  }

  /** By the id of the request. */
  async waitingRequests(orgId: string, requests: readonly string[]): Promise<ReadonlyMap<string, WaitingRequest>> {
    if (requests.length === 0) return new Map();
    const found = await Promise.all(
      this.sources.map(async (source) => (await source.waitingRequests?.(orgId, requests)) ?? []),
    );
    return new Map(found.flat().map((one) => [one.requestId, one]));
  }

  async nearestTriggers(
    ...[orgId, eventId, event, most]: Parameters<NonNullable<DecisionSource['nearestTriggers']>>
  ): Promise<readonly NearTrigger[]> {
    const found = await Promise.all(
      this.sources.map(async (source) => (await source.nearestTriggers?.(orgId, eventId, event, most)) ?? []),
    );
    return found.flat();
  }
}
