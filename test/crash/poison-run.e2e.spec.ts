import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

import { PostgresEventStore } from '#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { readLast } from '#libs/event-store/src/reading.js';
import { streams } from '#libs/events/src/streams.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase } from '../support/database.js';
import { freePort, TestServer } from '../support/server.js';

interface Run {
  readonly status: string;
  readonly outputs?: unknown;
  readonly pauses?: readonly { readonly blocked?: object }[];
}

/** A step that kills the process in which it runs, as a fault in native code does, as long as the file is there. */
const POISON = `
import { existsSync } from 'node:fs';
export default {
  name: 'poison',
  sdk: 1,
  steps: [{
    name: 'poison',
    description: 'Kills the process.',
    inputSchema: { type: 'object', additionalProperties: false },
    effects: true,
    async run() {
      if (existsSync('FILE')) {
        process.kill(process.pid, 'SIGKILL');
        await new Promise(() => undefined);
      }
      return { survived: true };
    },
  }],
};
`;
const workflow = (name: string, steps: string) => ({
  source: `name: ${name}\ntriggers: [{ type: manual }]\nsteps: [${steps}]\n`,
});

/** Records deaths that did not happen: before each real one passes the time after which a process counts as dead. */
async function asIfDied(url: string, runId: string, times: number): Promise<void> {
  const store = await PostgresEventStore.open({ connectionString: url });
  try {
    const last = (await readLast(store, streams.run(runId)))!;
    const { orgId, subject } = last.metadata;
    const context = { orgId, subject, actor: subject, now: new Date() };
    const crashed = Array.from({ length: times }, () =>
      newEvent({ type: 'run.crashed', data: { runId, paths: ['drink'] } }, { ...context, id: uuid7() }),
    );
    await store.append(last.stream, crashed, last.revision);
  } finally {
    await store.close();
  }
}

async function startedRun(url: string, name: string): Promise<string> {
  const store = await PostgresEventStore.open({ connectionString: url });
  try {
    const { events } = await store.readAll({ from: 0n, filter: { types: ['workflow.started'] }, limit: 100 });
    const started = events.find((event) => event.is('workflow.started') && event.data.workflow === name);
    return (started!.data as { runId: string }).runId;
  } finally {
    await store.close();
  }
}

describe('a run that kills each process that takes it up', () => {
  it('is blocked after ten deaths, says how to go on, and the other runs go on meanwhile', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-poison-'));
    const file = join(folder, 'is-deadly');
    await writeFile(file, '');
    await writeFile(join(folder, 'poison.mjs'), POISON.replace('FILE', file));
    const database = await createTestDatabase();
    const env = {
      MILLRACE_SECRET_KEY: Buffer.alloc(32, 5).toString('base64'),
      MILLRACE_PLUGINS: join(folder, 'poison.mjs'),
    };
    const settings = { databaseUrl: database.url, port: await freePort(), env };
    let server = await TestServer.start(settings);
    const hasDied = async () => {
      await waitFor(
        'the server to die',
        () => server.exited,
        () => server.output,
      );
      expect(server.child.signalCode).toBe('SIGKILL');
    };
    const untilStatus = (id: string, status: string): Promise<Run> =>
      waitFor(
        `the run to be ${status}`,
        async () => {
          const run = await server.get<Run>(`/api/v1/runs/${id}`);
          return run.status === status && run;
        },
        () => server.output,
      );
    try {
      const calm = '{ id: nap, wait: { for: 2s } }, { uses: log, with: { message: on } }';
      await server.call('PUT', '/api/v1/workflows/calm', workflow('calm', calm));
      await server.call('PUT', '/api/v1/workflows/deadly', workflow('deadly', '{ id: drink, uses: poison }'));
      const { id: other } = await server.post<{ id: string }>('/api/v1/workflows/calm/runs', {});
      // Two of the ten deaths are real: the first and the tenth.
      await server.post('/api/v1/workflows/deadly/runs', {}).catch(() => undefined);
      await hasDied();
      const id = await startedRun(database.url, 'deadly');
      await asIfDied(database.url, id, 8);
      server = await TestServer.start(settings);
      await hasDied();

      server = await TestServer.start(settings);
      const blocked = await untilStatus(id, 'blocked');
      expect(blocked.pauses).toEqual([
        expect.objectContaining({
          blocked: {
            code: 'run.blocked',
            message: expect.stringContaining(`POST /api/v1/runs/${id}/resume`),
            crashes: 10,
            paths: ['drink'],
          },
        }),
      ]);
      expect(await server.call('GET', '/readyz')).toMatchObject({ status: 'ready', blockedRuns: [id] });
      await untilStatus(other, 'completed');
      const { id: later } = await server.post<{ id: string }>('/api/v1/workflows/calm/runs', {});
      await untilStatus(later, 'completed');
      expect(server.exited).toBe(false);

      // Mended, it is resumed by hand and ends.
      await rm(file);
      await server.post(`/api/v1/runs/${id}/resume`, {});
      await untilStatus(id, 'completed');
    } finally {
      await server.stop();
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
