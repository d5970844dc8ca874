import type { EventDecisionAnswer } from '#libs/events/src/shapes/decision-shape.js';

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
  decisionsOn(query: DecisionQuery, limit: number): Promise<readonly KeyedDecision[]>;
}

/** Who decides about events, stage by stage: each adds itself, and lists of decisions ask all of them. */
export class DecisionSources {
  private readonly sources: DecisionSource[] = [];

  add(source: DecisionSource): void {
    this.sources.push(source);
  }

  async decisionsOn(query: DecisionQuery, limit: number): Promise<readonly KeyedDecision[]> {
    const found = await Promise.all(this.sources.map((source) => source.decisionsOn(query, limit)));
    return found
      .flat()
      .sort((one, other) => (one.key < other.key ? -1 : 1))
      .slice(0, limit);
  }
}
