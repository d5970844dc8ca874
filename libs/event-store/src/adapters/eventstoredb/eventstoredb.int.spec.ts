import { EventStoreDbDouble } from '../../../testing/eventstoredb-double/eventstoredb-double.adapter.js';
import { SharedLog } from '../../../testing/eventstoredb-double/shared-log.js';
import { openStore } from '../../../testing/open-eventstoredb.js';
import { eventStoreContract } from '../../contract/event-store.contract.js';
import type { OpenStore } from '../../contract/open-store.js';
import { EventStoreDbEventStore } from './eventstoredb-event-store.adapter.js';

/** With `EVENTSTORE_URL` the suite runs against that server, else against the double. */
const url = process.env['EVENTSTORE_URL'];
const processes = (argument: string) => ({
  module: new URL('../../../testing/open-eventstoredb.ts', import.meta.url).href,
  argument,
});

async function againstServer(connectionString: string): Promise<OpenStore> {
  const store = await EventStoreDbEventStore.open({ connectionString });
  return { store, close: () => store.close(), faults: { processes: processes(connectionString) } };
}

/** Others write to the same server all the while. */
async function againstDouble(): Promise<OpenStore> {
  const double = await EventStoreDbDouble.start({ log: new SharedLog() });
  const store = await openStore(double.connectionString);
  return {
    store,
    async close() {
      await store.close();
      await double.stop();
    },
    faults: {
      async dropConnections() {
        double.dropConnections();
        return Promise.resolve();
      },
      async loseNextAnswer() {
        double.faults.nextAppends('stored-then-cut');
        return Promise.resolve();
      },
      async outage() {
        await double.kill();
        return { end: () => double.restart() };
      },
      async freeze() {
        double.freeze();
        return Promise.resolve({ end: () => Promise.resolve(double.thaw()) });
      },
      processes: processes(double.connectionString),
    },
  };
}

const notOurs = 'the server belongs to somebody else: faults are injected into the double';
eventStoreContract(
  url === undefined ? "EventStoreDB's double" : 'EventStoreDB',
  () => (url === undefined ? againstDouble() : againstServer(url)),
  url === undefined ? {} : { dropConnections: notOurs, loseNextAnswer: notOurs, outage: notOurs, freeze: notOurs },
);
