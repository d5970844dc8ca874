import type { EventStore } from '../event-store.js';

/** An adapter ready for the suite: empty, or with other streams in it, which the suite leaves alone. */
export interface OpenStore {
  readonly store: EventStore;
  close(): Promise<void>;
  readonly faults?: Faults;
}

/** What can be done to an adapter's server and to the way there. Each returns when it has taken effect. */
export interface Faults {
  /** Cuts every connection; new ones succeed at once. */
  dropConnections?(): Promise<void>;
  /** Lets the next append reach the server and cuts the connection before its answer comes back. */
  loseNextAnswer?(): Promise<void>;
  /** The server cannot be reached until `end` is called. */
  outage?(): Promise<{ end(): Promise<void> }>;
  /** Connections stay open and nothing comes back until `end` is called. */
  freeze?(): Promise<{ end(): Promise<void> }>;
  /** How another process opens the same log: `openStore(argument)` of the module at this file URL. */
  readonly processes?: { readonly module: string; readonly argument: string };
}

/** Faults that an adapter cannot suffer or cannot be given, each with the reason. */
export type Gaps = Partial<Record<keyof Faults, string>>;

/** Opens one store. Called for each group of tests. */
export type Open = () => Promise<OpenStore>;
