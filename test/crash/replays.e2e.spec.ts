import { expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase } from '../support/database.js';
import { freePort, TestServer } from '../support/server.js';

/** In the order in which a rerun comes to them. */
const POINTS = [
  'audit.before-rerun',
  'audit.after-rerun',
  'audit.before-replay-save',
  'audit.after-replay-save',
  'audit.before-replay-end',
];
const EVENTS = 5;

interface Replay {
  readonly id: string;
  readonly status: string;
}

it('acts on each event once, whatever dies on the way', async () => {
  const database = await createTestDatabase();
  const env = { MILLRACE_SECRET_KEY: Buffer.alloc(32, 5).toString('base64') };
  const settings = { databaseUrl: database.url, port: await freePort(), env };
  let server = await TestServer.start({ ...settings, env: { ...env, MILLRACE_CRASH_AT: POINTS[0]! } });
  const issues = () => server.list<object>('/api/v1/issues');
  try {
    const action = { type: 'create_issue', with: { title: 'Deployed ${{ data.n }}' } };
    await server.post('/api/v1/event-types', {
      type: 'app.deployed',
      description: 'A deployment.',
      schema: { type: 'object' },
      example: { n: 1 },
    });
    const rule = { name: 'deployed', eventType: 'app.deployed', actions: [action] };
    const { id: ruleId } = await server.post<{ id: string }>('/api/v1/rules', rule);
    for (let n = 0; n < EVENTS; n++) await server.post('/api/v1/events', { type: 'app.deployed', data: { n } });
    await waitFor(
      'the first issues',
      async () => (await issues()).length === EVENTS,
      () => server.output,
    );
    const body = { mode: 'rerun', filter: { type: 'app.deployed' }, with: { rules: [{ ruleId }] }, rate: 1000 };
    // It may die before it answers.
    await server.post('/api/v1/replays', { ...body, confirm: EVENTS }).catch(() => undefined);
    for (const [index, point] of POINTS.entries()) {
      const dying = server;
      await waitFor(
        `the server to die at ${point}`,
        () => dying.exited,
        () => dying.output,
      );
      expect([point, dying.child.signalCode]).toEqual([point, 'SIGKILL']);
      const next = POINTS[index + 1];
      server = await TestServer.start({ ...settings, env: next ? { ...env, MILLRACE_CRASH_AT: next } : env });
    }
    const replay = await waitFor(
      'the replay to end',
      async () => (await server.list<Replay>('/api/v1/replays')).find(({ status }) => status === 'finished'),
      () => server.output,
    );
    expect(replay).toMatchObject({ results: EVENTS, selected: EVENTS });
    await waitFor(
      'the issues',
      async () => (await issues()).length === 2 * EVENTS,
      () => server.output,
    );
    const reruns = await server.list<{ data: { replayOf: string } }>('/api/v1/events?type=replay.event_rerun');
    expect(new Set(reruns.map(({ data }) => data.replayOf)).size).toBe(EVENTS);
    expect(reruns).toHaveLength(EVENTS);
    expect(await server.list('/api/v1/events?type=issue.requested')).toHaveLength(2 * EVENTS);
    expect(await issues()).toHaveLength(2 * EVENTS);
  } finally {
    await server.stop();
    await database.drop();
  }
});
