import { describe } from '@jest/globals';

import { appending } from './appending.contract.js';
import { competing } from './competing.contract.js';
import { enduring } from './enduring.contract.js';
import { exactness } from './exactness.contract.js';
import { modelled } from './model.contract.js';
import type { Gaps, Open } from './open-store.js';
import { reading } from './reading.contract.js';
import { sharing } from './sharing.contract.js';
import { subscribing } from './subscribing.contract.js';

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
