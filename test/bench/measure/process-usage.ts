import { readdir, readFile } from 'node:fs/promises';

/** CPU time and memory of a process, from `/proc` (Linux). */
export interface Usage {
  /** CPU time so far, user and system. */
  readonly seconds: number;
  readonly residentMb: number;
  /** The most it ever had. */
  readonly peakMb: number;
}

/** Linux reports CPU time in hundredths of a second. */
const TICKS_PER_SECOND = 100;

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly seconds: number;
  /** Of children that have ended. */
  readonly childSeconds: number;
}

async function statOf(pid: number): Promise<Stat> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1');
  // The name may contain spaces and brackets: the fields follow the last bracket.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = (from: number) => (Number(fields[from]) + Number(fields[from + 1])) / TICKS_PER_SECOND;
  return { pid, parent: Number(fields[1]), seconds: ticks(11), childSeconds: ticks(13) };
}

export async function usageOf(pid: number): Promise<Usage> {
  const [{ seconds }, status] = await Promise.all([statOf(pid), readFile(`/proc/${pid}/status`, 'latin1')]);
  const megabytes = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? Number.NaN) / 1024;
  return { seconds, residentMb: megabytes('VmRSS'), peakMb: megabytes('VmHWM') };
}

export const parentOf = async (pid: number): Promise<number> => (await statOf(pid)).parent;

/** CPU seconds of a process and its children, including those that have ended. */
export async function secondsOfFamily(pid: number): Promise<number> {
  const own = await statOf(pid);
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(names.map((name) => statOf(Number(name)).catch(() => undefined)));
  const children = all.filter((one): one is Stat => one?.parent === pid);
  return children.reduce(
    (sum, { seconds, childSeconds }) => sum + seconds + childSeconds,
    own.seconds + own.childSeconds,
  );
}

/** Milliseconds on the clock that all processes of this machine share. */
export const sharedClock = (): number => Number(process.hrtime.bigint()) / 1e6;
