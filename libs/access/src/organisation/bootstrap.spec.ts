import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { execute } from '#libs/event-store/src/command-handlers.js';
import { Runner } from '#libs/event-store/src/runner/runner.js';
import { SystemClock } from '#libs/kernel/src/clock.js';

import { MemoryCheckpoints, MemoryLocks, MemorySignals } from '../../../event-store/testing/memory-runner.js';
import { bootstrap } from './bootstrap.js';
import { RevokeToken, revokeToken, token } from '../token/token.js';
import { DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { TokenTable } from '../token/token.table.js';

const FIRST = 'a-configured-token-of-32-characters!';
const SECOND = 'another-configured-token-of-32-chars';

/** One process of an installation: its own table and runner, the log in common. */
class Process {
  readonly tokens = new TokenTable();
  private readonly runner: Runner;
  constructor(private readonly store: MemoryEventStore) {
    this.runner = new Runner({
      store,
      checkpoints: new MemoryCheckpoints(),
      locks: new MemoryLocks(),
      signals: new MemorySignals(),
    });
  }
  async start(configured?: string): ReturnType<typeof bootstrap> {
    await this.runner.start({ subscribers: [], tables: [this.tokens] });
    return bootstrap(this.store, new SystemClock(), this.tokens, this.runner, configured);
  }
  stop = () => this.runner.stop();
}

describe('the first way in', () => {
  let store: MemoryEventStore;
  let processes: Process[];
  beforeEach(() => {
    store = new MemoryEventStore();
    processes = [];
  });
  afterEach(async () => {
    await Promise.all(processes.map((one) => one.stop()));
    await store.close();
  });
  const start = async (configured?: string) => {
    const started = new Process(store);
    processes.push(started);
    return { ...(await started.start(configured)), tokens: started.tokens };
  };
  const types = async () => (await store.readAll({ limit: 100 })).events.map(({ type }) => type);

  it('is a token that is generated at the first start and told once', async () => {
    const first = await start();
    expect(first.generated).toMatch(/^mr_[\w-]{43}$/);
    expect(first.tokens.find(first.generated!)).toMatchObject({
      orgId: DEFAULT_ORG,
      roles: ['admin'],
      bootstrap: true,
    });

    const again = await start();
    expect(again.generated).toBeUndefined();
    expect(again.tokens.find(first.generated!)).toBeDefined();
  });

  it('is told by one process alone when two start at once', async () => {
    const [one, two] = await Promise.all([start(), start()]);
    expect([one.generated, two.generated].filter((text) => text !== undefined)).toHaveLength(1);
    expect((await types()).filter((type) => type === 'token.created')).toHaveLength(1);
  });

  it('is the configured token where there is one, which is not told', async () => {
    const { generated, tokens } = await start(FIRST);
    expect(generated).toBeUndefined();
    expect(tokens.find(FIRST)).toMatchObject({ orgId: DEFAULT_ORG, roles: ['admin'] });
  });

  it('stays revoked after a person revoked it, whatever the environment says, and others stay valid', async () => {
    const { tokens } = await start(FIRST);
    const { id } = tokens.find(FIRST)!;
    const person = { orgId: DEFAULT_ORG, actor: 'token/tok_other' };
    await execute(store, new SystemClock(), token, revokeToken, new RevokeToken(id, person));
    const again = await start(FIRST);
    expect(again.revoked).toBe(true);
    expect(again.tokens.find(FIRST)).toBeUndefined();
    const replaced = await start(SECOND);
    expect(replaced.revoked).toBeUndefined();
    expect(replaced.tokens.find(SECOND)).toBeDefined();
    const stillRevoked = await start(FIRST);
    expect(stillRevoked.tokens.find(SECOND)).toBeDefined();
  });

  it('is replaced when another token is configured', async () => {
    await start(FIRST);
    const { tokens } = await start(SECOND);
    expect(tokens.find(FIRST)).toBeUndefined();
    expect(tokens.find(SECOND)).toBeDefined();
  });

  it('is replaced when a token is configured for the first time', async () => {
    const { generated } = await start();
    const { tokens } = await start(FIRST);
    expect(tokens.find(generated!)).toBeUndefined();
    expect(tokens.find(FIRST)).toBeDefined();
  });

  it('can be changed back', async () => {
    await start(FIRST);
    await start(SECOND);
    const { tokens } = await start(FIRST);
    expect(tokens.find(FIRST)).toBeDefined();
    expect(tokens.find(SECOND)).toBeUndefined();
  });

  it('stays when the configuration is taken away again', async () => {
    await start(FIRST);
    const { generated, tokens } = await start();
    expect(generated).toBeUndefined();
    expect(tokens.find(FIRST)).toBeDefined();
  });

  it('leaves the log as it is when nothing has changed', async () => {
    await start(FIRST);
    const before = await types();
    await start(FIRST);
    expect(await types()).toEqual(before);
    expect(before).toEqual(['organisation.created', 'token.created']);
  });
});
