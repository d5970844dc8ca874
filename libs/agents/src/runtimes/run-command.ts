import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { messageOf } from '#libs/kernel/src/errors.js';
import { beginning } from '#libs/kernel/src/text/text.js';
import { startTimer } from '#libs/kernel/src/time/timer.js';

import { memoryOf, processesIn, processesUnder } from './process-tree.js';

export interface CommandRun {
  /** Names its folder. What an earlier run with this id left behind is ended first. */
  readonly id: string;
  /** Absolute path. */
  readonly command: string;
  readonly args: readonly string[];
  /** What stdin gets. */
  readonly input: string;
  readonly timeoutMs: number;
  /** Of the program and its children together. */
  readonly memoryBytes: number;
  /** Of stdout. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

export type CommandEnd =
  | {
      readonly kind: 'exited';
      readonly code: number | null;
      readonly signal: string | null;
      readonly stdout: string;
      /** Its beginning. */
      readonly stderr: string;
    }
  | { readonly kind: 'timeout' | 'memory' | 'output' }
  | { readonly kind: 'not_started'; readonly code: string };

const SHOWN_STDERR = 500;
const WATCH_MS = 100;
/** How long the pipes may stay open after the program has ended. */
const LINGER_MS = 1_000;

/**
 * Runs a program in a process group and a folder of its own, without our environment, and ends it with its children when
 * it takes too long, too much memory or writes too much. Rejects only when `signal` aborts.
 */
export async function runCommand(run: CommandRun): Promise<CommandEnd> {
  run.signal.throwIfAborted();
  const folder = join(await realpath(tmpdir()), `millrace-agent-${run.id}`);
  // Of a server that was killed: its program would go on beside this one.
  for (const pid of await processesIn(folder)) kill(pid);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o700 });
  try {
    const child = spawn(run.command, run.args, {
      cwd: folder,
      env: {},
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    return await watched(child, run);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function watched(child: ChildProcess, run: CommandRun): Promise<CommandEnd> {
  return new Promise((resolve, reject) => {
    const stdout: Buffer[] = [];
    let size = 0;
    let stderr = '';
    let stopped: CommandEnd | undefined;
    let hasEnded = false;
    const stop = (why?: CommandEnd) => {
      stopped ??= why;
      void endWithChildren(child);
    };
    const stopTimer = startTimer(run.timeoutMs, () => stop({ kind: 'timeout' }));
    const onAbort = () => stop();
    const watch = setInterval(() => {
      void memoryOf(child.pid!).then((bytes) => {
        if (bytes > run.memoryBytes && !hasEnded) stop({ kind: 'memory' });
      });
    }, WATCH_MS);
    run.signal.addEventListener('abort', onAbort, { once: true });
    const end = (result: CommandEnd) => {
      if (hasEnded) return;
      hasEnded = true;
      stopTimer();
      clearInterval(watch);
      run.signal.removeEventListener('abort', onAbort);
      if (run.signal.aborted) reject(run.signal.reason as Error);
      else resolve(stopped ?? result);
    };
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid === undefined) end({ kind: 'not_started', code: error.code ?? messageOf(error) });
    });
    child.stdout!.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > run.maxBytes) stop({ kind: 'output' });
      else stdout.push(chunk);
    });
    child.stderr!.on('data', (chunk: Buffer) => {
      if (stderr.length < SHOWN_STDERR) stderr += chunk.toString('utf8');
    });
    const exited = (code: number | null, signal: string | null) => {
      const text = Buffer.concat(stdout).toString('utf8');
      end({ kind: 'exited', code, signal, stdout: text, stderr: beginning(stderr.trim(), SHOWN_STDERR) });
    };
    child.on('close', exited);
    // A child that has left the group may keep the pipes open: nobody waits for it.
    child.on('exit', (code, signal) => {
      endGroup(child);
      startTimer(LINGER_MS, () => exited(code, signal));
    });
    // A program that does not read its input closes the pipe.
    child.stdin!.on('error', () => undefined);
    child.stdin!.end(run.input);
  });
}

/** Its group, and children that have left the group. */
async function endWithChildren(child: ChildProcess): Promise<void> {
  const left = child.pid === undefined ? [] : await processesUnder(child.pid);
  endGroup(child);
  for (const pid of left) kill(pid);
}

const endGroup = ({ pid }: ChildProcess): void => {
  if (pid !== undefined) kill(-pid);
};

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
