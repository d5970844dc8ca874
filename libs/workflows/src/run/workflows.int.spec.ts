import { mkdtemp, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import type { Log } from '#libs/kernel/src/log.js';
import { streams } from '#libs/events/src/streams.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { answered, Running, type RunningOptions } from '../../testing/running.js';

let database: TestDatabase;
let store: MemoryEventStore;
const processes: Running[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  store = new MemoryEventStore();
});

afterEach(async () => {
  await Promise.all(processes.splice(0).map((one) => one.stop()));
  await database.drop();
});

async function process(more: Partial<RunningOptions> = {}): Promise<Running> {
  const started = await Running.start({ databaseUrl: database.url, store, ...more });
  processes.push(started);
  return started;
}

const CALLS = `name: calls
triggers: [{ type: manual, inputs: { to: { type: string, default: "https://a.example" } } }]
steps:
  - { id: first, uses: call, with: { to: "\${{ inputs.to }}" } }
  - { id: second, uses: call, with: { to: "https://b.example" } }
outputs: { status: "\${{ steps.second.output.status }}" }
`;

describe('a run', () => {
  it('goes through its steps and is shown with what they were given and what came of it', async () => {
    const one = await process();
    await one.save(CALLS);
    const id = await one.begin('calls', { to: 'https://c.example' });
    const shown = await one.untilStatus(id, 'completed');
    expect(shown).toMatchObject({ outputs: { status: 200 }, workflow: 'calls', trigger: 'manual' });
    expect(shown.timeline).toMatchObject([
      { path: 'first', status: 'completed', input: { to: 'https://c.example' }, output: { status: 200 } },
      { path: 'second', status: 'completed', output: { status: 200 } },
    ]);
    const keys = one.egress.requests.map(({ headers }) => headers['idempotency-key']);
    expect(new Set(keys).size).toBe(2);
  });

  it('leaves no work behind when it has ended', async () => {
    const one = await process();
    await one.save(CALLS);
    const id = await one.begin('calls');
    await one.untilStatus(id, 'completed');
    expect(await one.dataSource.query('select * from views.work')).toEqual([]);
  });

  it('rests while it waits, and goes on when the time has come', async () => {
    const one = await process();
    await one.save('name: nap\ntriggers: [{ type: manual }]\nsteps: [{ wait: { for: 400ms } }]\n');
    const id = await one.begin('nap');
    const waiting = await one.view(id);
    expect(waiting).toMatchObject({ status: 'waiting', until: expect.any(String) });
    const ended = await one.untilStatus(id, 'completed');
    expect(Date.parse((ended as unknown as { endedAt: string }).endedAt)).toBeGreaterThanOrEqual(
      Date.parse(waiting.until!),
    );
  });

  it('uses the same idempotency key for every attempt of a step', async () => {
    const one = await process();
    let calls = 0;
    one.egress.answer = () => Promise.resolve(answered(++calls < 3 ? 503 : 200));
    await one.save(
      'name: again\ntriggers: [{ type: manual }]\nsteps: [{ uses: call, with: { to: x }, retry: { maxAttempts: 3, delay: 10ms } }]\n',
    );
    await one.untilStatus(await one.begin('again'), 'completed');
    const keys = one.egress.requests.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
  });

  it('keeps the version that it began with, whatever is saved meanwhile', async () => {
    const one = await process();
    const text = (value: number) =>
      `name: slow\ntriggers: [{ type: manual }]\nsteps:\n  - { wait: { for: 300ms } }\n  - { id: say, uses: echo, with: { value: ${value} } }\noutputs: { said: "\${{ steps.say.output }}" }\n`;
    await one.save(text(1));
    const first = await one.begin('slow');
    await one.save(text(2));
    const second = await one.begin('slow');
    expect((await one.untilStatus(first, 'completed')).outputs).toEqual({ said: 1 });
    expect((await one.untilStatus(second, 'completed')).outputs).toEqual({ said: 2 });
  });

  it('is found again where its request is sent twice with one Idempotency-Key', async () => {
    const one = await process();
    await one.save(CALLS);
    const caller = { ...one.caller, idempotencyKey: 'key-1' };
    const begin = () => one.runs.begin(caller, 'calls', { body: {} }) as Promise<{ id: string }>;
    expect((await begin()).id).toBe((await begin()).id);
    expect(await one.logged('workflow.started')).toHaveLength(1);
  });

  it('is not another organisation’s to see or stop', async () => {
    const one = await process();
    await one.save(CALLS);
    const id = await one.begin('calls');
    const stranger = { ...one.caller, orgId: 'org_other' };
    await expect(one.runs.view(stranger, id)).rejects.toMatchObject({ code: 'run.not_found' });
    await expect(one.commands.cancel(stranger, id)).rejects.toMatchObject({ code: 'run.not_found' });
    await expect(one.runs.begin(stranger, 'calls', { body: {} })).rejects.toMatchObject({ code: 'workflow.not_found' });
    expect((await one.runs.list(stranger)).data).toEqual([]);
  });
});

describe('a request to another stage', () => {
  const ASKS = `name: asks
triggers: [{ type: manual }]
steps:
  - id: each
    forEach: [1, 2, 3]
    concurrency: 3
    steps: [{ id: again, uses: redeliver_webhook, with: { delivery: del_01jq5x1d0wkz4s3v2n8m7b6c5a } }]
outputs: { all: "\${{ steps.each.output.results[].status }}" }
`;

  it('is waited for, by its id, whatever comes first', async () => {
    const one = await process();
    await one.save(ASKS);
    const id = await one.begin('asks');
    const requests = await one.logged('webhook.redelivery_requested');
    expect(requests).toHaveLength(3);
    // Another outcome is nobody's business here.
    await one.append('webhook.delivered', {
      deliveryId: 'd',
      eventId: 'e',
      eventType: 't',
      attempt: 1,
      latencyMs: 1,
      status: 204,
    });
    await one.answer(requests[2]!, 203);
    await one.answer(requests[0]!, 201);
    await one.answer(requests[0]!, 299);
    await one.answer(requests[1]!, 202);
    expect((await one.untilStatus(id, 'completed')).outputs).toEqual({ all: [201, 202, 203] });
    expect(await one.dataSource.query('select * from views.run_requests')).toEqual([]);
  });

  it('is not missed when the outcome is in the log before anybody has looked at the request', async () => {
    const idle = await process({ working: false });
    const saving = await process();
    await saving.save(ASKS);
    processes.splice(processes.indexOf(saving), 1);
    await saving.stop();
    // Nothing follows the log while the run begins and all its requests are answered.
    const begun = idle.runs.begin(idle.caller, 'asks', { body: {} }).catch((error: unknown) => error);
    const requests = await waitFor('the requests', async () => {
      const all = await idle.logged('webhook.redelivery_requested');
      return all.length === 3 && all;
    });
    for (const request of requests) await idle.answer(request, 200);
    const back = await process();
    await begun;
    const [first] = await back.logged('workflow.started');
    const { runId } = first!.data as { runId: string };
    await waitFor('the row of the run', async () => back.view(runId).catch(() => undefined));
    await back.untilStatus(runId, 'completed');
  });
});

describe('a run that fails', () => {
  it.each([
    [
      'at once',
      'uses: emit, with: { type: webhook.exhausted, data: "${{ run }}" }',
      'run failed: The data does not fit',
    ],
    ['later', 'uses: call, with: { to: x }, retry: { maxAttempts: 1 }', 'run failed: It answered 500.'],
  ])('%s has one line in the log', async (_, step, message) => {
    const lines: [object, string][] = [];
    const note = (fields: object, line: string) => void lines.push([fields, line]);
    const one = await process({ log: { debug: note, info: note, warn: note, error: note } });
    one.egress.answer = () => Promise.resolve(answered(500));
    await one.save(`name: bad\ntriggers: [{ type: manual }]\nsteps: [{ id: s, ${step} }]\n`);
    const id = await one.begin('bad');
    await one.untilStatus(id, 'failed');
    expect(lines.filter(([, line]) => line.startsWith('run failed'))).toEqual([
      [{ run: id, workflow: 'bad', step: 's', code: expect.any(String) }, expect.stringContaining(message)],
    ]);
  });
});

describe('a run that is cancelled', () => {
  it('does the steps of finally, and the row says cancelled after them', async () => {
    const one = await process();
    await one.save(
      'name: cleaned\ntriggers: [{ type: manual }]\nsteps: [{ id: nap, wait: { for: 1h } }]\nfinally: [{ id: clean, uses: call, with: { to: "https://clean" } }]\n',
    );
    const id = await one.begin('cleaned');
    await one.untilStatus(id, 'waiting');
    await one.commands.cancel(one.caller, id);
    const { timeline } = await one.untilStatus(id, 'cancelled');
    expect(timeline.map(({ path, status }) => [path, status])).toEqual([
      ['nap', 'cancelled'],
      ['clean', 'completed'],
    ]);
  });

  it('stops at once, also in the middle of a call, and keeps nothing of it', async () => {
    const one = await process();
    const stopped = new Promise<void>((resolve) => {
      one.egress.answer = ({ signal }) =>
        new Promise((_, reject) =>
          signal.addEventListener('abort', () => {
            resolve();
            reject(new Error('aborted'));
          }),
        );
    });
    await one.save(CALLS);
    const id = await one.begin('calls');
    await waitFor('the call to begin', () => Promise.resolve(one.egress.requests.length === 1));
    expect(await one.commands.cancel(one.caller, id)).toMatchObject({
      status: 'cancelled',
      cancelledBy: one.caller.actor,
      timeline: [{ status: 'cancelled', endedAt: expect.any(String) }],
    });
    await stopped;
    // Again is done already; what has ended otherwise cannot be cancelled.
    expect(await one.commands.cancel(one.caller, id)).toMatchObject({ status: 'cancelled' });
    expect(await one.logged('workflow.step_completed')).toEqual([]);
    await waitFor(
      'its work to be gone',
      async () => (await one.dataSource.query('select * from views.work')).length === 0,
    );
  });

  it('in a wait is not woken any more', async () => {
    const one = await process();
    await one.save('name: nap\ntriggers: [{ type: manual }]\nsteps: [{ wait: { for: 200ms } }]\n');
    const id = await one.begin('nap');
    await one.commands.cancel(one.caller, id);
    const marker = await one.begin('nap');
    await one.untilStatus(marker, 'completed');
    expect((await one.view(id)).status).toBe('cancelled');
    await expect(one.commands.cancel(one.caller, marker)).rejects.toMatchObject({ code: 'run.ended' });
  });
});

describe('a process that ends', () => {
  it('leaves its runs to another, which takes the attempt over', async () => {
    const first = await process();
    first.egress.answer = ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
    await first.save(CALLS);
    const id = await first.begin('calls');
    await waitFor('the call to begin', () => Promise.resolve(first.egress.requests.length === 1));
    const second = await process();
    processes.splice(processes.indexOf(first), 1);
    await first.stop();
    const shown = await second.untilStatus(id, 'completed');
    expect(shown.timeline[0]!.attempts).toMatchObject([{ attempt: 1, resumed: 1 }]);
    expect(second.egress.requests).toHaveLength(2);
    // The same key as the first time: whoever was called can tell.
    expect(second.egress.requests[0]!.headers['idempotency-key']).toBe(
      first.egress.requests[0]!.headers['idempotency-key'],
    );
  });
});

describe('lists of runs', () => {
  it('are newest first, in pages, by workflow and status', async () => {
    const one = await process();
    await one.save('name: quick\ntriggers: [{ type: manual }]\nsteps: [{ uses: echo, with: { value: 1 } }]\n');
    await one.save(
      'name: wrong\ntriggers: [{ type: manual }]\nsteps: [{ forEach: "${{ inputs }}", steps: [{ wait: { for: 1s } }] }]\n',
    );
    const ids = [
      await one.begin('quick'),
      await one.begin('quick'),
      await one.begin('wrong'),
      await one.begin('quick'),
    ];
    const page = (cursor?: string) => one.runs.list(one.caller, {}, '3', cursor);
    const first = await page();
    const second = await page(first.nextCursor!);
    expect([...first.data, ...second.data].map((run) => (run as { id: string }).id).sort()).toEqual([...ids].sort());
    const times = [...first.data, ...second.data].map((run) => (run as { startedAt: string }).startedAt);
    expect(times).toEqual(times.toSorted().reverse());
    expect(second.nextCursor).toBeNull();
    const failed = await one.runs.list(one.caller, { workflow: 'wrong', status: 'failed' });
    expect(failed.data).toMatchObject([{ id: ids[2], error: { code: 'loop.no_list' } }]);
    await expect(one.runs.list(one.caller, { status: 'broken' })).rejects.toMatchObject({ code: 'list.bad_filter' });
  });
});

describe('definitions', () => {
  const text = (value: number) => `name: hello\nsteps: [{ uses: echo, with: { value: ${value} } }]\n`;

  it('are kept as versions, of which one is active', async () => {
    const one = await process();
    const first = (await one.save(text(1))) as { version: string };
    await one.save(text(2));
    const list = await one.workflows.versions(one.caller, 'hello');
    expect(list.data).toMatchObject([
      { number: 2, active: true, savedBy: 'token/tok_1' },
      { number: 1, active: false },
    ]);
    expect(await one.workflows.activate(one.caller, 'hello', { body: { version: first.version } })).toMatchObject({
      version: first.version,
      number: 1,
      source: text(1),
    });
    await one.workflows.archive(one.caller, 'hello');
    expect((await one.workflows.list(one.caller)).data).toEqual([]);
    expect((await one.workflows.list(one.caller, 'archived')).data).toMatchObject([{ name: 'hello' }]);
  });

  it('are listed by labels and by what keeps them from starting runs', async () => {
    const one = await process();
    const save = async (name: string, more: string) =>
      (await one.save(`name: ${name}\n${more}\nsteps: [{ uses: echo, with: { value: 1 } }]\n`)) as { id: string };
    const { id } = await save('a', 'labels: { team: payments, tier: "1" }');
    await save('b', 'labels: { team: payments, "odd": "x:y" }\ndisabled: true');
    await save('c', 'labels: { team: search }');
    await one.append('workflow.paused', { workflowId: id, name: 'a' }, { stream: streams.workflow(id) });
    const list = async (status?: string, paused?: string, disabled?: string, label?: string | string[]) =>
      (await one.workflows.list(one.caller, status, paused, disabled, label)).data.map(({ name }) => name);
    await waitFor('the pause to be seen', async () => (await list(undefined, 'true')).length === 1);
    expect((await one.workflows.list(one.caller)).data).toMatchObject([
      { name: 'a', paused: true },
      { name: 'b', disabled: true },
      { name: 'c' },
    ]);
    expect(await list(undefined, 'true')).toEqual(['a']);
    expect(await list(undefined, 'false')).toEqual(['b', 'c']);
    expect(await list(undefined, undefined, 'true')).toEqual(['b']);
    expect(await list(undefined, 'false', 'false')).toEqual(['c']);
    const labelled = (...labels: string[]) => list(undefined, undefined, undefined, labels);
    expect(await labelled('team:payments')).toEqual(['a', 'b']);
    expect(await labelled('team:payments', 'odd:x:y')).toEqual(['b']);
    expect(await labelled('team:payments', 'team:search')).toEqual([]);
    await one.workflows.archive(one.caller, 'c');
    expect(await list('archived', undefined, undefined, 'team:search')).toEqual(['c']);
    expect((await one.workflows.view(one.caller, 'c')).labels).toEqual({ team: 'search' });
    for (const wrong of [list('all'), list(undefined, 'yes'), labelled('team'), labelled(':x')])
      await expect(wrong).rejects.toMatchObject({ code: 'list.bad_filter' });
  });

  it('are not saved where they do not parse, or are called otherwise', async () => {
    const one = await process();
    const save = (name: string, body: unknown) => one.workflows.save(one.caller, name, { body });
    await expect(save('hello', 'name: hello\nsteps:\n  - uses: ecko\n')).rejects.toMatchObject({
      code: 'workflow.invalid',
      problems: [{ pointer: '/steps/0/uses', line: 3, column: 11 }],
    });
    await expect(save('other', text(1))).rejects.toMatchObject({ problems: [{ code: 'workflow.other_name' }] });
    await expect(save('hello', { sauce: text(1) })).rejects.toMatchObject({
      code: 'request.invalid',
      problems: [{ pointer: '/source' }, { pointer: '/sauce', detail: 'Unknown key "sauce". Allowed: source.' }],
    });
    await expect(one.workflows.activate(one.caller, 'hello', { body: {} })).rejects.toMatchObject({
      code: 'request.invalid',
      problems: [{ pointer: '/version' }],
    });
    await expect(one.runs.begin(one.caller, 'hello', { body: { input: {} } })).rejects.toMatchObject({
      code: 'request.invalid',
      problems: [{ pointer: '/input', detail: expect.stringContaining('Did you mean "inputs"?') }],
    });
    expect(one.workflows.validate(one.caller, { body: { source: text(1) } })).toMatchObject({
      valid: true,
      errors: [],
    });
    expect(await one.logged('workflow.saved')).toEqual([]);
  });
});

describe('the folder of workflows', () => {
  let folder: string;
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'millrace-workflows-'))));
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const named = (name: string, value: number) => `name: ${name}\nsteps: [{ uses: echo, with: { value: ${value} } }]\n`;
  const put = (file: string, source: string) => writeFile(join(folder, file), source);
  const inForce = async (one: Running) =>
    (await one.workflows.list(one.caller)).data.map((row) => (row as { name: string }).name);

  it('is active at start, follows changes, and archives what is removed', async () => {
    await put('a.yaml', named('a', 1));
    await put('b.yml', named('b', 1));
    await put('b.test.yaml', 'name: no workflow');
    await put('notes.txt', 'nothing');
    const one = await process({ folder });
    await one.files.start();
    await waitFor('both to be shown', async () => (await inForce(one)).length === 2);
    await put('a.yaml', named('a', 2));
    await waitFor('the change', async () => (await one.logged('workflow.saved')).length === 3);
    await unlink(join(folder, 'b.yml'));
    await waitFor('b to be gone', async () => (await inForce(one)).join() === 'a');
  });

  it('says where a broken file is wrong, and keeps the last good version', async () => {
    const lines: string[] = [];
    const note = (_: object, message: string) => void lines.push(message);
    const log: Log = { debug: note, info: note, warn: note, error: note };
    await put('a.yaml', named('a', 1));
    const one = await process({ folder, log });
    await one.files.start();
    await waitFor('a to be shown', async () => (await inForce(one)).length === 1);
    await put('a.yaml', 'name: a\nsteps:\n  - uses: ecko\n');
    await one.files.sync();
    await one.files.sync();
    const said = lines.filter((line) => line.includes('a.yaml:3:11'));
    expect(said).toEqual([expect.stringContaining('Did you mean "echo"?')]);
    expect(await inForce(one)).toEqual(['a']);
    expect(await one.logged('workflow.archived')).toEqual([]);
  });

  it('with what is probably not meant is active, and says so once', async () => {
    const lines: string[] = [];
    const note = (_: object, message: string) => void lines.push(message);
    await put(
      'a.yaml',
      'name: a\nsteps:\n  - { id: b, uses: call, with: { to: x } }\n  - { uses: echo, if: steps.b.ouput, with: { value: 1 } }\n',
    );
    const one = await process({ folder, log: { debug: note, info: note, warn: note, error: note } });
    await one.files.start();
    await put('c.yaml', named('c', 1));
    await one.files.sync();
    const said = lines.filter((line) => line.includes('a.yaml:4:31: warning: '));
    expect(said).toEqual([expect.stringContaining('Did you mean "output"?')]);
  });

  it('does not undo at the next start what was saved through the API', async () => {
    await put('a.yaml', named('a', 1));
    const one = await process({ folder });
    await one.files.start();
    await one.save(named('a', 2));
    const two = await process({ folder });
    await two.files.start();
    expect(await two.workflows.view(two.caller, 'a')).toMatchObject({ source: named('a', 2), origin: 'api' });
  });

  it('keeps active what it cannot read now', async () => {
    await put('a.yaml', named('a', 1));
    const one = await process({ folder });
    await one.files.start();
    await waitFor('a to be shown', async () => (await inForce(one)).length === 1);
    // A link to itself: there is a file, and no way to look at it.
    await unlink(join(folder, 'a.yaml'));
    await symlink('a.yaml', join(folder, 'a.yaml'));
    await one.files.sync();
    expect(await inForce(one)).toEqual(['a']);
    expect(await one.logged('workflow.archived')).toEqual([]);
  });

  it('that is not there changes nothing', async () => {
    await put('a.yaml', named('a', 1));
    const one = await process({ folder });
    await one.files.start();
    await waitFor('a to be shown', async () => (await inForce(one)).length === 1);
    await rm(folder, { recursive: true });
    await one.files.sync();
    expect(await inForce(one)).toEqual(['a']);
  });
});
