/** What a follower of the log is doing. */
export type FollowerState =
  /** Another process is active, or none is yet. */
  | 'waiting'
  | 'catching_up'
  | 'live'
  /** It failed and tries again; `reason` says why. */
  | 'retrying'
  /** The log does not answer. */
  | 'disconnected'
  /** Of a table: an event could not be taken in. */
  | 'incomplete'
  | 'stopped';

/** One subscriber or table, as `/readyz` and `/metrics` show it. */
export interface FollowerStatus {
  readonly name: string;
  readonly kind: 'subscriber' | 'table';
  /** Whether it runs in this process; of a subscriber, only one does. */
  readonly active: boolean;
  readonly state: FollowerState;
  /** Everything up to here is handled; -1n before anything was. */
  readonly position: bigint;
  readonly head: bigint;
  /** How long it has made no progress although the log is further; 0 when it is at the head. */
  readonly lagSeconds: number;
  readonly reason?: string;
  readonly parked: number;
}
