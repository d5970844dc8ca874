import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { ExecutionWorld } from '../../testing/execution-world.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-commands-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let world: ExecutionWorld;
beforeEach(() => {
  world = new ExecutionWorld();
});

/** A program of Node.js with this source; it is run without a shell. */
async function program(source: string): Promise<string> {
  const path = join(folder, `program-${Math.random().toString(36).slice(2)}.mjs`);
  await writeFile(path, `#!${process.execPath}\n${source}`);
  await chmod(path, 0o755);
  return path;
}
async function ran(source: string, config: object = {}, signal?: AbortSignal) {
  const command = await program(source);
  world.agentCommands = [command];
  await world.agent({ runtime: 'command', config: { command, ...config } });
  const work = await world.request({ title: 'DB latency' });
  await world.run(work, signal);
  return world.last(work);
}
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const ECHO = `
let text = '';
for await (const chunk of process.stdin) text += chunk;
const given = JSON.parse(text);
console.log(JSON.stringify({ given, args: process.argv.slice(2), env: Object.keys(process.env), cwd: process.cwd() }));`;

describe('a command agent', () => {
  it('gets JSON on stdin, and answers with JSON on stdout', async () => {
    const end = await ran(ECHO, { args: ['-x'] });
    expect(end).toMatchObject({
      type: 'agent.finished',
      data: { output: { given: { input: { title: 'DB latency' }, agent: 'triage', trigger: 'rule' }, args: ['-x'] } },
    });
    const { env, cwd } = (end.data as { output: { env: string[]; cwd: string } }).output;
    // Some systems add a name of their own.
    expect(env.filter((name) => name in process.env && name !== '__CF_USER_TEXT_ENCODING')).toEqual([]);
    expect(cwd).toMatch(/millrace-agent-/);
    await expect(readFile(cwd)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it.each<[string, string, object]>([
    ['an exit code', 'console.error("no such issue"); process.exit(3)', { code: 'agent.command_failed' }],
    ['a text that is not JSON', 'console.log("hello")', { code: 'agent.invalid_output' }],
    [
      'too much output',
      'process.stdout.write("x".repeat(2_000_000)); setInterval(() => undefined, 1000)',
      { code: 'agent.output_too_large' },
    ],
  ])('fails with %s', async (_, source, error) => {
    expect(await ran(source)).toMatchObject({ type: 'agent.failed', data: { error, status: 'failed' } });
  });

  it('shows the beginning of what it wrote to stderr', async () => {
    const { data } = await ran('console.error("no such issue"); process.exit(3)');
    expect((data as { error: { message: string } }).error.message).toBe('The program ended with code 3: no such issue');
  });

  it('is stopped with its children when its time is over, also those that left its group', async () => {
    const pids = join(folder, 'pids.txt');
    const source = `
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
const sleep = 'setInterval(() => undefined, 1000)';
const children = [false, true].map((detached) => spawn(process.execPath, ['-e', sleep], { detached, stdio: 'ignore' }));
writeFileSync(${JSON.stringify(pids)}, JSON.stringify([process.pid, ...children.map(({ pid }) => pid)]));
setInterval(() => undefined, 1000);`;
    const end = await ran(source, { timeout: '2s' });
    expect(end).toMatchObject({ type: 'agent.failed', data: { status: 'timeout' } });
    const all = JSON.parse(await readFile(pids, 'utf8')) as number[];
    expect(all).toHaveLength(3);
    await waitFor('all of them to end', () => !all.some(isAlive));
  });

  it('is stopped when it uses too much memory', async () => {
    const source = `
const kept = [];
setInterval(() => kept.push(Buffer.alloc(8 * 1024 * 1024, 1)), 10);`;
    const end = await ran(source, { memoryMb: 128, timeout: '1m' });
    expect(end).toMatchObject({ data: { error: { code: 'agent.memory_exceeded' } } });
  });

  it('is not started unless the operator allows it', async () => {
    world.agentCommands = [];
    await world.agent({ runtime: 'command', config: { command: '/bin/sh' } });
    const work = await world.request(null);
    await world.run(work);
    expect(await world.types(work)).toEqual(['agent.started', 'agent.failed']);
    expect((await world.last(work)).data).toMatchObject({ error: { code: 'agent.command_refused' } });
  });

  it('that cannot be started fails', async () => {
    world.agentCommands = [join(folder, 'missing')];
    await world.agent({ runtime: 'command', config: { command: join(folder, 'missing') } });
    const work = await world.request(null);
    await world.run(work);
    expect((await world.last(work)).data).toMatchObject({ error: { code: 'agent.command_not_started' } });
  });

  it('that a killed server left behind is ended before it is started again', async () => {
    const command = await program('console.log("1")');
    world.agentCommands = [command];
    await world.agent({ runtime: 'command', config: { command } });
    const work = await world.request(null);
    const cwd = join(await realpath(tmpdir()), `millrace-agent-${work.key}`);
    await mkdir(cwd);
    const left = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { cwd, stdio: 'ignore' });
    const end = once(left, 'exit');
    await once(left, 'spawn');
    await world.run(work);
    expect(await end).toEqual([null, 'SIGKILL']);
    expect((await world.last(work)).data).toMatchObject({ output: 1 });
    await expect(readdir(cwd)).rejects.toThrow(/ENOENT/);
  });

  it('is ended when its process stops, and started again by the next one', async () => {
    const count = join(folder, 'count.txt');
    const stopping = new AbortController();
    const source = `
import { appendFileSync, readFileSync } from 'node:fs';
appendFileSync(${JSON.stringify(count)}, 'x');
if (readFileSync(${JSON.stringify(count)}, 'utf8').length === 1) setInterval(() => undefined, 1000);
else console.log('"second"');`;
    const command = await program(source);
    world.agentCommands = [command];
    await world.agent({ runtime: 'command', config: { command } });
    const work = await world.request(null);
    const first = world.run(work, stopping.signal);
    await waitFor('it to run', () =>
      readFile(count).then(
        () => true,
        () => false,
      ),
    );
    stopping.abort(new Error('stopping'));
    await expect(first).rejects.toThrow('stopping');
    await world.run(work);
    expect(await world.types(work)).toEqual(['agent.started', 'agent.attempt_started', 'agent.finished']);
    expect((await world.last(work)).data).toMatchObject({ output: 'second' });
  });
});
