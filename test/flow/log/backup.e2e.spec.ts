import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { ROOT, TestServer } from '../../support/server.js';

describe('the backup of a server that runs', () => {
  let folder: string;
  let server: TestServer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-backup-e2e-'));
    server = await TestServer.start({ dataDir: join(folder, 'data') });
  });
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  interface Outcome {
    readonly code: number | string | null;
    readonly out: string;
  }
  /** `millrace …` beside the data, as an operator runs it. */
  async function millrace(args: readonly string[], crashAt = ''): Promise<Outcome> {
    const { PATH = '', HOME = '' } = process.env;
    const env = { PATH, HOME, MILLRACE_CRASH_AT: crashAt, MILLRACE_DATA_DIR: join(folder, 'data') };
    const child = spawn(process.execPath, [join(ROOT, 'apps/cli/bin/millrace.mjs'), ...args], { cwd: folder, env });
    let out = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (out += data.toString()));
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    return { code: signal ?? code, out };
  }
  const publish = (target: TestServer, n: number) =>
    target.post<{ id: string }>('/api/v1/events', {
      type: 'webhook.received',
      source: 'tests',
      data: { provider: 'tests', payload: { n } },
    });

  it('has a page whose commands work', async () => {
    const text = await readFile(join(ROOT, 'docs/backup.md'), 'utf8');
    const lines = [...text.matchAll(/^```bash\n(.*?)^```$/gms)].flatMap(([, body]) => body!.trim().split('\n'));
    const own = lines.filter((line) => line.startsWith('npx millrace backup '));
    expect(own).toHaveLength(3);
    for (const line of own) {
      const args = line.slice('npx millrace '.length).split(' ');
      expect({ line, ...(await millrace(args)) }).toMatchObject({ line, code: 0 });
    }
    for (const name of ['backups', 'restored']) await rm(join(folder, name), { recursive: true });
  });

  it('is restored as the server that was, also where each step is killed first', async () => {
    const before = await publish(server, 1);
    await server.call('PUT', '/api/v1/secrets/TOKEN', { value: 'kept-in-the-backup' });
    await waitFor('the index', async () => (await server.list('/api/v1/events?type=webhook.received')).length === 1);

    const copy = join(folder, 'copy');
    expect(await millrace(['backup', 'create', copy], 'backup.before-name')).toMatchObject({ code: 'SIGKILL' });
    expect(await readdir(folder)).not.toContain('copy');
    expect(await millrace(['backup', 'create', copy])).toMatchObject({ code: 0 });
    expect((await readdir(folder)).toSorted()).toEqual(['copy', 'data']);
    const after = await publish(server, 2);
    expect(await millrace(['backup', 'verify', copy])).toMatchObject({
      code: 0,
      out: expect.stringContaining('The backup is whole'),
    });

    const dataDir = join(folder, 'restored');
    const restore = (crashAt?: string) => millrace(['backup', 'restore', copy, '--data-dir', dataDir], crashAt);
    for (const place of ['backup.before-commit', 'backup.before-restored'])
      expect(await restore(place)).toMatchObject({ code: 'SIGKILL' });
    expect(await restore()).toMatchObject({ code: 0, out: expect.stringContaining('put key') });
    await cp(join(folder, 'data', 'secret.key'), join(dataDir, 'secret.key'));

    const restored = await TestServer.start({ dataDir });
    try {
      const events = await restored.list<{ id: string }>('/api/v1/events?type=webhook.received');
      expect(events.map(({ id }) => id)).toEqual([before.id]);
      expect(after.id).not.toBe(before.id);
      await publish(restored, 3);
      expect(await restored.get('/api/v1/audit/verify')).toMatchObject({ ok: true, findings: [] });
      expect(await restored.list('/api/v1/secrets')).toMatchObject([{ name: 'TOKEN' }]);
    } finally {
      await restored.stop();
    }
    // The stopped data folder can be backed up too, and what a killed restore left behind is gone.
    expect(await millrace(['backup', 'create', join(folder, 'second'), '--data-dir', dataDir])).toMatchObject({
      code: 0,
    });
    expect((await readdir(dataDir)).filter((name) => name.includes('.tmp-'))).toEqual([]);
    expect(await readFile(join(folder, 'second', 'manifest.json'), 'utf8')).not.toContain('kept-in-the-backup');
  });
});
