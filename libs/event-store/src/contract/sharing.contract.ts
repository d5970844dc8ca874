import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { expect } from '@jest/globals';

import { Follower } from './follower.js';
import { anEvent, aPrefix, idsOf, readEverything } from './given.js';
import { faultTest, gapsAreNamed, group } from './group.js';
import type { Faults, Gaps, Open } from './open-store.js';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** A process of its own that appends through its own instance of the adapter and prints what was answered. */
class WriterProcess {
  readonly answered: string[] = [];
  private readonly child: ChildProcess;
  private readonly watchers = new Set<() => void>();
  private errors = '';
  readonly exited: Promise<unknown>;

  constructor(
    { module, argument }: NonNullable<Faults['processes']>,
    prefix: string,
    writers: number,
    appends: number,
  ) {
    const program = [
      '--conditions=source',
      '--no-warnings',
      '--import',
      path('../../../../test/support/register-ts.mjs'),
    ];
    const script = [path('./writer-process.ts'), module, argument, prefix, String(writers), String(appends)];
    this.child = spawn(process.execPath, [...program, ...script], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    this.exited = once(this.child, 'close');
    this.child.stderr!.on('data', (chunk) => (this.errors += String(chunk)));
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      this.answered.push(line);
      for (const check of [...this.watchers]) check();
    });
  }

  async untilAnswered(count: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const check = (): void => void (this.answered.length >= count && resolve());
      this.watchers.add(check);
      void this.exited.then(() => reject(new Error(`the writer ended early: ${this.errors}`)));
      check();
    });
  }

  async untilDone(): Promise<void> {
    const [code] = (await this.exited) as [number];
    if (code !== 0) throw new Error(`the writer failed: ${this.errors}`);
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}

/** Several processes on one log. */
export function sharing(open: Open, gaps: Gaps): void {
  group('sharing the log', open, (subject) => {
    const given = { gaps, subject };
    gapsAreNamed(['processes'], given);

    faultTest(
      'processes',
      given,
      'three writer processes of sixteen writers each, read as they go: nothing missed, nothing twice',
      async (processes) => {
        const prefix = aPrefix();
        const filter = { streamPrefixes: [prefix] };
        const follower = new Follower(subject.store, { from: 'end', filter });
        const filtered = new Follower(subject.store, { from: 'end', filter: { types: ['writer.third'], ...filter } });
        await Promise.all([follower.untilCaughtUp(), filtered.untilCaughtUp()]);
        const writers = ['x', 'y', 'z'].map((name) => new WriterProcess(processes, `${prefix}${name}`, 16, 40));
        const own: string[] = [];
        for (let n = 0; n < 200; n++) {
          const event = anEvent();
          await subject.store.append(`${prefix}own-${n}`, [event], 'no-stream');
          own.push(event.id);
        }
        await Promise.all(writers.map((writer) => writer.untilDone()));
        const answered = [...writers.flatMap((writer) => writer.answered), ...own];
        expect(answered).toHaveLength(3 * 16 * 40 + 200);
        await follower.untilEvents(answered.length);
        const all = await readEverything(subject.store, { filter, limit: 500 });
        expect(idsOf(all).sort()).toEqual(answered.sort());
        expect(idsOf(follower.events)).toEqual(idsOf(all));
        const thirds = all.filter(({ type }) => type === 'writer.third');
        await filtered.untilEvents(thirds.length);
        expect(idsOf(filtered.events)).toEqual(idsOf(thirds));
        await Promise.all([follower.stop(), filtered.stop()]);
      },
    );

    faultTest(
      'processes',
      given,
      'a writer killed in mid-append leaves whole appends only, with all it was answered among them',
      async (processes) => {
        const prefix = aPrefix();
        const filter = { streamPrefixes: [prefix] };
        const follower = new Follower(subject.store, { from: 'end', filter });
        await follower.untilCaughtUp();
        for (const [round, after] of [1, 37, 150].entries()) {
          const writer = new WriterProcess(processes, `${prefix}${round}`, 16, 100_000);
          await writer.untilAnswered(after);
          await writer.kill();
          const answer = await subject.store.append(`${prefix}after-${round}`, [anEvent()], 'no-stream');
          await follower.until('the append after the kill', () => follower.position >= answer.position);
          const stored = idsOf(follower.events);
          expect(new Set(stored).size).toBe(stored.length);
          expect(stored).toEqual(expect.arrayContaining(writer.answered));
        }
        await follower.stop();
        const all = await readEverything(subject.store, { filter, limit: 500 });
        const lengths = new Map<string, number>();
        for (const { stream, revision } of all) {
          expect(revision).toBe(BigInt(lengths.get(stream) ?? 0));
          lengths.set(stream, (lengths.get(stream) ?? 0) + 1);
        }
        // Writers append four events at once (see writer-process.ts): a stream holds whole appends or it is torn.
        for (const [stream, length] of lengths)
          if (!stream.startsWith(`${prefix}after-`)) expect([stream, length % 4]).toEqual([stream, 0]);
      },
    );
  });
}
