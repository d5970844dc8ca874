import { UnreadableFile } from '../src/rule-file.js';
import type { Shell } from '../src/shell.js';

const file = 'rule.yaml';

/** A program that was asked with these flags; answers, errors and functions of the body are given by method and path. */
export class FakeShell implements Shell {
  readonly out: string[] = [];
  readonly notes: string[] = [];
  readonly bars: (string | undefined)[] = [];
  readonly asked: { method: string; path: string; body: unknown }[] = [];
  json = false;
  quiet = false;
  lines: object[] = [];
  readonly interrupt = new AbortController();
  readonly signal = this.interrupt.signal;

  constructor(private readonly answers: Readonly<Record<string, unknown>> = {}) {}

  call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    this.asked.push({ method, path, body });
    const answer = this.answers[`${method} ${path}`];
    if (answer instanceof Error) throw answer;
    if (answer === undefined) throw new Error(`no answer to ${method} ${path}`);
    return (typeof answer === 'function' ? (answer as (body: unknown) => unknown)(body) : answer) as T;
  };
  async stream(path: string, body: unknown): Promise<AsyncIterable<Uint8Array>> {
    this.asked.push({ method: 'POST', path, body });
    const { lines } = this;
    return Promise.resolve(
      (async function* () {
        for (const line of lines) yield await Promise.resolve(Buffer.from(`${JSON.stringify(line)}\n`));
      })(),
    );
  }
  read = (path: string): Promise<unknown> => {
    if (path === file) return Promise.resolve({ name: 'pushes', eventType: 'git.push' });
    if (path === 'push.json') return Promise.resolve({ type: 'git.push' });
    return Promise.reject(new UnreadableFile(`There is no file ${path}.`));
  };
  print = (text: string): void => void this.out.push(text);
  note = (text: string): void => void this.notes.push(text);
  bar = (text: string | undefined): void => void this.bars.push(text);
  table = (columns: readonly string[], rows: readonly (readonly string[])[]): void =>
    void this.out.push(...[columns, ...rows].map((row) => row.join(' | ')));
}
