import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';

import { ROOT } from '../../support/server.js';
import { installed } from './install.js';

export interface DbosRun {
  readonly seconds: number;
  /** Runs with the correct output. */
  readonly right: number;
  readonly processorSeconds: number;
}

/** DBOS with the same three steps, on the same PostgreSQL. */
export class Dbos {
  private readonly ended = new Promise<undefined>((resolve) => this.child.once('exit', () => resolve(undefined)));

  private constructor(
    private readonly child: ChildProcess,
    private readonly lines: Interface,
  ) {}

  /** @param receiver where its steps send requests; without it, they compute. */
  static async start(databaseUrl: string, receiver?: string): Promise<Dbos> {
    const options = JSON.stringify({ folder: await installed('dbos'), databaseUrl, receiver });
    const child = spawn(process.execPath, [join(ROOT, 'test/bench/peers/dbos-runs.mjs'), options], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const dbos = new Dbos(child, createInterface({ input: child.stdout }));
    await dbos.answer();
    return dbos;
  }

  async run(callers: number, count: number): Promise<DbosRun> {
    const answer = this.answer();
    this.child.stdin!.write(`${JSON.stringify({ callers, count })}\n`);
    return JSON.parse(await answer) as DbosRun;
  }

  async stop(): Promise<void> {
    this.child.stdin!.end();
    await this.ended;
  }

  /** The next line that is JSON: DBOS logs to the same output. */
  private async answer(): Promise<string> {
    for (;;) {
      const next = await Promise.race([once(this.lines, 'line'), this.ended]);
      if (next === undefined) throw new Error('DBOS ended: see above.');
      const [line] = next as [string];
      if (line.startsWith('{')) return line;
    }
  }
}
