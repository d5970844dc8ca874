import type { Problem } from '#libs/kernel/src/errors.js';
import { parseJson } from '#libs/kernel/src/text/exact-json.js';

/** 0 is for success; these tell a script what to do about a failure. */
export const EXIT = {
  /** The server said no, or what was looked for is not so. */
  no: 1,
  /** The command line, a file or the profile is wrong. */
  usage: 2,
  /** No server answered: trying again later may help. */
  unreachable: 3,
  /** Ctrl-C, as shells have it. */
  interrupted: 130,
} as const;

/** What a person can mend on this side. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Nobody answered at the server's address. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
}

/** An answer that is no success. */
export class ServerSaidNo extends Error {
  override readonly name = 'ServerSaidNo';
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly problems: readonly Problem[] = [],
  ) {
    super(detail);
  }
}

/** Made of whatever came back: a problem as in RFC 9457, or something in between that is none of ours. */
export function refusalOf(status: number, text: string): ServerSaidNo {
  try {
    const { code, detail, errors } = parseJson(text) as {
      code?: string;
      detail?: string;
      errors?: readonly Problem[];
    };
    if (typeof code === 'string') return new ServerSaidNo(status, code, detail ?? '', errors ?? []);
  } catch {
    // Not JSON: a proxy answered.
  }
  return new ServerSaidNo(status, `http.${status}`, `The answer was ${status}: ${text.slice(0, 200).trim()}`);
}

/** A failure in lines for a person: what, where, and what to do. */
export function linesOf(error: unknown): readonly string[] {
  if (!(error instanceof ServerSaidNo)) return [error instanceof Error ? error.message : String(error)];
  const { status, code, detail, problems } = error;
  const hint =
    status === 401 ? ['Set a token: --token, MILLRACE_TOKEN, or "token" in the profile (see millrace --help).'] : [];
  return [
    `${detail} (${code})`,
    ...problems.map((problem) => {
      const { pointer, line, column } = problem as Problem & { line?: number; column?: number };
      const place = line === undefined ? pointer : `${line}:${column ?? 1}`;
      return `  ${place === '' ? '(whole)' : place}: ${problem.detail}`;
    }),
    ...hint,
  ];
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof ServerSaidNo) return EXIT.no;
  if (error instanceof Unreachable) return EXIT.unreachable;
  return EXIT.usage;
}
