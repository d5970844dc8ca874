import { describe } from '@jest/globals';

import type { EventStore } from '../event-store.js';

import { appending } from './appending.contract.js';
import { competing } from './competing.contract.js';
import { enduring } from './enduring.contract.js';
import { exactness } from './exactness.contract.js';
import { modelled } from './model.contract.js';
import { sharing } from './sharing.contract.js';
import { reading } from './reading.contract.js';
import { subscribing } from './subscribing.contract.js';

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

/**
 * THE CONTRACT: registers every test that an adapter of `EventStore` must pass. A spec file calls it with the adapter's
 * name, how to open it, and the gaps with their reasons; nothing else of the suite can be left out.
 */
export function eventStoreContract(name: string, open: Open, gaps: Gaps = {}): void {
  describe(`the log's contract, kept by ${name}`, () => {
    appending(open);
    exactness(open);
    competing(open);
    reading(open);
    subscribing(open);
    modelled(open);
    enduring(open, gaps);
    sharing(open, gaps);
  });
}
