/** What an append meets instead of an answer. */
export type AppendFault =
  /** Stored, but the answer is lost. */
  | 'stored-unanswered'
  /** Stored, and the connection is cut before the answer. */
  | 'stored-then-cut'
  /** Neither stored nor answered. */
  | 'lost'
  /** Refused with a text alone, as a server does that is starting or overrun. */
  | 'not-ready'
  | 'busy'
  /** The server gives up on its own replicas: the outcome is unknown. */
  | 'timeout'
  /** Refused as if another writer had been first. */
  | 'wrong-version'
  /** Stored, and answered long after the client has given up. */
  | 'late';

/** Where the leader is, when it is not here; `undefined` during an election. */
export type Leader = { readonly host: string; readonly port: number } | 'unknown';

/** The faults that are in force; the services ask it at every request. */
export class Faults {
  /** Not this node: every request that requires the leader is sent there. */
  leader: Leader | undefined;
  /** How long `late` takes. */
  lateness = 0;
  /** Answers that have gone out late. */
  answeredLate = 0;
  /** Cuts every connection; set by the double. */
  cut: () => void = () => undefined;
  private appends: AppendFault[] = [];

  /** The next `count` appends meet `fault`. */
  nextAppends(fault: AppendFault, count = 1): void {
    for (let i = 0; i < count; i++) this.appends.push(fault);
  }

  takeAppend(): AppendFault | undefined {
    return this.appends.shift();
  }

  clear(): void {
    this.leader = undefined;
    this.appends = [];
  }
}
