import { UnreadableFile } from '../src/rule/rule-file.js';
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
  readonly env: NodeJS.ProcessEnv = {};
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
  /** The text that is the answer, in pieces of a few bytes. */
  download = async (path: string, accept: string): Promise<AsyncIterable<Uint8Array>> => {
    const bytes = Buffer.from(await this.call<string>('GET', path, accept));
    return (async function* () {
      for (let at = 0; at < bytes.length; at += 7) yield await Promise.resolve(bytes.subarray(at, at + 7));
    })();
  };
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
