import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';

import { inParallel } from '#libs/kernel/src/in-parallel.js';

const run = promisify(execFile);

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** Resident memory. */
  readonly bytes: number;
}

/** Bytes that a program uses with its children. */
export const memoryOf = async (root: number): Promise<number> =>
  (await treeOf(root)).reduce((sum, { bytes }) => sum + bytes, 0);

/** Ids of its children, also of those that have left its process group, without its own. */
export const processesUnder = async (root: number): Promise<readonly number[]> =>
  (await treeOf(root)).flatMap(({ pid }) => (pid === root ? [] : [pid]));

/** Ids of the processes that work in a folder. Without `/proc` none is found. */
export async function processesIn(folder: string): Promise<readonly number[]> {
  if (process.platform !== 'linux') return [];
  const found: number[] = [];
  await inParallel(await processNames(), 32, async (name) => {
    const at = await readlink(`/proc/${name}/cwd`).catch(() => '');
    if (at === folder || at.startsWith(`${folder}/`)) found.push(Number(name));
  });
  return found;
}

const processNames = async (): Promise<readonly string[]> =>
  (await readdir('/proc')).filter((name) => /^\d+$/.test(name));

async function treeOf(root: number): Promise<readonly Process[]> {
  const all = await (process.platform === 'linux' ? listedInProc() : listedByPs());
  const members = new Set([root]);
  // Ids start over, so that a child may have a lower one than its parent: repeated until nothing is found.
  for (let before = -1; before !== members.size;) {
    before = members.size;
    for (const { pid, parent, group } of all) if (group === root || members.has(parent)) members.add(pid);
  }
  return all.filter(({ pid }) => members.has(pid));
}

async function listedInProc(): Promise<readonly Process[]> {
  const found: Process[] = [];
  await inParallel(await processNames(), 32, async (name) => {
    // A process may end at any moment.
    const read = (file: string) => readFile(`/proc/${name}/${file}`, 'utf8').catch(() => '');
    const [stat, status] = [await read('stat'), await read('status')];
    // The name of the program comes before, in parentheses, and may hold anything.
    const [, parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (group === undefined) return;
    const kib = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
    found.push({ pid: Number(name), parent: Number(parent), group: Number(group), bytes: kib * 1024 });
  });
  return found;
}

async function listedByPs(): Promise<readonly Process[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,pgid=,rss=']);
  return stdout.split('\n').flatMap((line) => {
    const [pid, parent, group, kib] = line.trim().split(/\s+/).map(Number);
    return kib === undefined ? [] : [{ pid: pid!, parent: parent!, group: group!, bytes: kib * 1024 }];
  });
}
