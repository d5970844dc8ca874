import type { Command } from 'commander';

import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { EXIT, ServerSaidNo } from '../failures.js';
import type { Act, Shell } from '../shell.js';

interface Check {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
}

interface Follower {
  readonly name: string;
  readonly lag: number;
  readonly lagSeconds: number;
  readonly parked: number;
}

/** What has not moved for so long, although there is something to do, is reported. */
const BEHIND_SECONDS = 15;

/** `millrace doctor` */
export function doctorCommand(program: Command, act: Act): void {
  program
    .command('doctor')
    .description('check the server, the token, and what follows the log; the exit code is 1 if something is wrong')
    .action(() => act(doctor));
}

export async function doctor(shell: Shell): Promise<number> {
  // A server that does not answer ends the command, with an exit code of its own.
  const checks = [
    await asked(shell, 'server', '/healthz', () => 'it answers'),
    await asked(shell, 'ready', '/readyz', () => 'it is ready for requests'),
    ...(await followers(shell)),
  ];
  if (shell.json) shell.print(stringifyJson(checks, 2));
  else {
    const shown = shell.quiet ? checks.filter(({ ok }) => !ok) : checks;
    if (shown.length > 0)
      shell.table(
        ['CHECK', 'RESULT', 'DETAIL'],
        shown.map(({ check, ok, detail }) => [check, ok ? 'ok' : 'failed', detail]),
      );
  }
  return checks.every(({ ok }) => ok) ? 0 : EXIT.no;
}

async function asked<T>(shell: Shell, check: string, path: string, say: (answer: T) => string): Promise<Check> {
  try {
    return { check, ok: true, detail: say(await shell.call<T>('GET', path)) };
  } catch (error) {
    if (error instanceof ServerSaidNo) return { check, ok: false, detail: error.detail };
    throw error;
  }
}

async function followers(shell: Shell): Promise<readonly Check[]> {
  let all: readonly Follower[] = [];
  const token = await asked<{ readonly data: readonly Follower[] }>(
    shell,
    'token',
    '/api/v1/subscribers',
    ({ data }) => {
      all = data;
      return 'it is valid';
    },
  );
  if (!token.ok) return [token];
  const behind = all.filter(({ lagSeconds }) => lagSeconds > BEHIND_SECONDS);
  const parked = all.filter((one) => one.parked > 0);
  return [
    token,
    {
      check: 'log',
      ok: behind.length === 0,
      detail:
        behind.map(({ name, lag, lagSeconds }) => `${name} is ${lag} events behind, for ${lagSeconds} s`).join('; ') ||
        'everything follows it',
    },
    {
      check: 'parked events',
      ok: parked.length === 0,
      detail: parked.map(({ name, parked: count }) => `${name} has ${count}`).join('; ') || 'there are none',
    },
  ];
}
