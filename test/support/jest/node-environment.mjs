import { AsyncLocalStorage } from 'node:async_hooks';

import { TestEnvironment } from 'jest-environment-node';

const used = new Set();
const { run } = AsyncLocalStorage.prototype;
AsyncLocalStorage.prototype.run = function (...args) {
  used.add(this);
  return Reflect.apply(run, this, args);
};

export default class NodeEnvironment extends TestEnvironment {
  /** Lets `group.mjs` say where tests are declared. */
  handleTestEvent(event, state) {
    if (event.name === 'setup') this.global.circus = state;
  }

  async teardown() {
    // Jest leaves the storage of each file switched on. Up to Node 22 every promise then visits those of all files before.
    for (const storage of used) storage.disable();
    used.clear();
    await super.teardown();
  }
}
