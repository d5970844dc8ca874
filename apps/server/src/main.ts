import { setFlagsFromString } from 'node:v8';

import { Rejected, Transient } from '#libs/kernel/src/errors.js';

import { bannerOf } from './banner.js';
import { parseConfig } from './config.js';
import { type Closers, startDatabase } from './database.adapter.js';
import { FrontDoor } from './http/front-door.js';
import { createLog } from './logging.js';

// Else V8 lets the heap grow to a multiple of what is in use before it collects: under load the process would have three times
// the memory that it needs.
setFlagsFromString('--heap-growing-percent=20');

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const complain = (text: string): void => void process.stderr.write(`${text}\n`);

const parsed = parseConfig(process.env, process.cwd());
if (parsed.kind === 'invalid') {
  complain('Millrace cannot start with these settings:');
  for (const problem of parsed.problems) complain(`  ${problem}`);
  process.exit(1);
}
const { config, warnings } = parsed;
for (const warning of warnings) complain(warning);
const log = createLog(config.logLevel);

let isEnding = false;
process.on('exit', () => {
  const { stack = '' } = new Error('process.exit was called');
  if (isEnding || !/ at process\.(?:exit|reallyExit) /.test(stack)) return;
  complain(`Millrace was ended by a plug-in or a library that calls process.exit:\n${stack}`);
  process.exitCode = 1;
});
function end(code: number): never {
  isEnding = true;
  process.exit(code);
}

process.on('unhandledRejection', (error) => {
  log.fatal({ err: error }, 'unhandled error: the process ends; start it again');
  end(1);
});

try {
  const door = await FrontDoor.open(config.host, config.port, config.settings.trustProxy);
  const closers: Closers = [{ name: 'connections', close: () => door.close(0) }];
  // Only now: a taken port is named before anything is touched, and before the bulk of the program is even loaded.
  const databaseUrl = startDatabase(config, closers, log);
  databaseUrl.catch(() => undefined);
  const starting = import('./server.adapter.js').then(({ startServer }) =>
    startServer(config, { door, databaseUrl, closers }, log),
  );
  // Also in the middle of the start: what it has opened by then must be closed.
  endOnSignals(async () => (await starting).stop());
  say(bannerOf(config, await starting));
} catch (error) {
  // What the operator can mend is said in words; anything else is a fault of the program, with its trace.
  if (error instanceof Rejected || error instanceof Transient) {
    complain(`Millrace cannot start: ${error.message}`);
    const bug = bugIn(error);
    if (bug) log.error({ err: bug }, 'a plug-in failed to load');
  } else log.fatal({ err: error }, 'Millrace cannot start');
  end(1);
}

/** The first signal ends in order, a second one at once. */
function endOnSignals(stop: () => Promise<void>): void {
  let ending = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (ending) end(1);
      ending = true;
      log.info({ signal }, 'stopping: finishing what is under way');
      stop().then(
        () => end(0),
        (error: unknown) => {
          log.fatal({ err: error }, 'stopping failed');
          end(1);
        },
      );
    });
}

/** What broke inside of a plug-in: its author needs the trace. */
function bugIn(error: Rejected | Transient): Error | undefined {
  if (error.code !== 'plugin.unusable') return undefined;
  let cause: unknown = error;
  while (cause instanceof Rejected) cause = cause.cause;
  return cause instanceof Error ? cause : undefined;
}
