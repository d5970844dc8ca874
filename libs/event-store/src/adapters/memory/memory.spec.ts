import { eventStoreContract } from '../../contract/event-store.contract.js';
import { MemoryEventStore } from './memory-event-store.js';

const noConnection = 'memory has no connection that could break';

eventStoreContract(
  'memory',
  () => {
    const store = new MemoryEventStore();
    return Promise.resolve({ store, close: () => store.close() });
  },
  {
    dropConnections: noConnection,
    loseNextAnswer: noConnection,
    outage: noConnection,
    freeze: noConnection,
    processes: 'memory ends with its process and is seen by no other',
  },
);
