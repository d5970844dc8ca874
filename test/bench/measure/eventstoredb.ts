import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';

import { ROOT } from '../../support/server.js';
import { TYPESCRIPT } from './typescript-process.js';

/** What was appended so far. */
export interface Appended {
  readonly events: number;
  readonly appends: number;
  /** Appends by the kind of stream. */
  readonly byStream: Readonly<Record<string, number>>;
}

/** The double of EventStoreDB, in its own process. */
export class BenchEventStoreDb {
  private constructor(
    private readonly child: ChildProcess,
    private readonly lines: Interface,
    readonly connectionString: string,
  ) {}

  static async start(): Promise<BenchEventStoreDb> {
    const child = spawn(process.execPath, [...TYPESCRIPT, './test/bench/scenario/eventstoredb-process.ts'], {
      cwd: ROOT,
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    const lines = createInterface({ input: child.stdout });
    const [line] = (await Promise.race([once(lines, 'line'), once(child, 'exit')])) as [unknown];
    if (typeof line !== 'string') throw new Error('The double of EventStoreDB did not start: see above.');
    const { connectionString } = JSON.parse(line) as { connectionString: string };
    return new BenchEventStoreDb(child, lines, connectionString);
  }

  get pid(): number {
    return this.child.pid!;
  }

  async appended(): Promise<Appended> {
    const answer = once(this.lines, 'line');
    this.child.stdin!.write('\n');
    return JSON.parse(((await answer) as [string])[0]) as Appended;
  }

  async stop(): Promise<void> {
    this.child.stdin!.end();
    if (this.child.exitCode === null) await once(this.child, 'exit');
  }
}
