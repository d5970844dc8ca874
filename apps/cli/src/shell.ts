import type { Output } from './terminal.js';

/** What the verbs need of the program around them. */
export interface Shell {
  /** JSON out, JSON in; throws for every answer that is not 2xx. */
  call<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** An answer that comes line by line; ends when `signal` aborts. */
  stream(path: string, body: unknown, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** GET as another content type than JSON, as it comes; throws as `call` does, also where the answer is cut off. */
  download(path: string, accept: string): Promise<AsyncIterable<Uint8Array>>;
  /** A YAML or JSON document by the name of its file; throws UnreadableFile. */
  read(path: string): Promise<unknown>;
  /** To the standard output: what was asked for. */
  print(text: string): void;
  /** To the standard error: everything else. */
  note(text: string): void;
  /** Overwrites its last line on a terminal; shows nothing elsewhere. */
  bar(text: string | undefined): void;
  table(columns: readonly string[], rows: readonly (readonly string[])[]): void;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly env: NodeJS.ProcessEnv;
  /** Aborts at Ctrl-C. */
  readonly signal: AbortSignal;
}

/** What the program finds around it; a test gives its own. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  readonly out: Output;
  readonly err: Output;
  readonly signal: AbortSignal;
}

/** Carries a verb out; the exit code is what it gives, 0 where it gives none. */
export type Act = (work: (shell: Shell, around: Surroundings) => Promise<number | void>) => Promise<void>;
