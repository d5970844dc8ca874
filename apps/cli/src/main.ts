import { Command, CommanderError } from 'commander';

import { applyCommand } from './apply.js';
import { Connection } from './connection.js';
import { EXIT, exitCodeOf, linesOf } from './failures.js';
import { targetOf } from './profile.js';
import { eventTypeCommands } from './event-type/event-type-commands.js';
import { integrationCommands } from './integration.js';
import { logCommands } from './log/log-verbs.js';
import { providerCommands } from './provider.js';
import { readDocument } from './rule/rule-file.js';
import { eventCommands, ruleCommands } from './rule.js';
import { auditCommands } from './audit/audit-commands.js';
import { backupCommands } from './backup/backup-verbs.js';
import { addAgentCommands } from './agent/agent-commands.js';
import { completionCommand } from './operation/completion.js';
import { doctorCommand } from './operation/doctor.js';
import { replayCommands } from './replay/replay-commands.js';
import { resourceCommands } from './resource/resource-commands.js';
import { eventViewCommands } from './event-view/event-view-commands.js';
import { retentionCommands } from './retention/retention-commands.js';
import { secretCommands } from './secret/secret-commands.js';
import { subjectCommands } from './subject/subject-commands.js';
import { sendCommand } from './send.js';
import type { Act, Shell, Surroundings } from './shell.js';
import { Terminal } from './terminal.js';
import { runCommands, workflowCommands } from './workflow.js';

interface Flags {
  readonly url?: string;
  readonly token?: string;
  readonly profile?: string;
  readonly json?: true;
  readonly quiet?: true;
  readonly color: boolean;
}

/** Runs the program with the arguments after its name. @returns the exit code. */
export async function main(args: readonly string[], given: Partial<Surroundings> = {}): Promise<number> {
  const interrupt = new AbortController();
  const around: Surroundings = {
    env: process.env,
    out: process.stdout,
    err: process.stderr,
    signal: interrupt.signal,
    ...given,
  };
  let terminal = new Terminal(around.out, around.err, false);
  let exitCode = 0;
  const program = new Command('millrace')
    .description('The command line of Millrace: manage rules and workflows, send saved requests, explain events.')
    .option('--url <url>', 'the server (MILLRACE_URL; default http://127.0.0.1:3000)')
    .option('--token <token>', 'API token (MILLRACE_TOKEN)')
    .option('--profile <name>', 'profile in ~/.config/millrace/profiles.json (MILLRACE_PROFILE; default "default")')
    .option('--json', 'print the answers of the API as JSON')
    .option('--quiet', 'print only ids and results')
    .option('--no-color', 'no colours (NO_COLOR)')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void around.out.write(text),
      writeErr: (text) => void around.err.write(text),
    });
  const act: Act = async (work) => {
    const flags = program.opts<Flags>();
    terminal = new Terminal(around.out, around.err, flags.color && !around.env['NO_COLOR']);
    const onInterrupt = (): void => interrupt.abort();
    process.once('SIGINT', onInterrupt);
    try {
      exitCode = (await work(shellOf(terminal, flags, around), around)) ?? 0;
    } finally {
      process.off('SIGINT', onInterrupt);
    }
  };
  ruleCommands(program, act);
  integrationCommands(program, act);
  providerCommands(program, act);
  eventCommands(program, act);
  workflowCommands(program, act);
  runCommands(program, act);
  secretCommands(program, act);
  subjectCommands(program, act);
  addAgentCommands(program, act);
  eventTypeCommands(program, act);
  auditCommands(program, act);
  backupCommands(program, act);
  replayCommands(program, act);
  logCommands(program, act);
  retentionCommands(program, act);
  eventViewCommands(program, act);
  resourceCommands(program, act);
  applyCommand(program, act);
  sendCommand(program, act);
  doctorCommand(program, act);
  completionCommand(program, act);
  for (const command of everyCommand(program)) command.exitOverride().showSuggestionAfterError();

  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander has said what is wrong, or shown the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
    if (around.signal.aborted) return EXIT.interrupted;
    terminal.failure(linesOf(error));
    return exitCodeOf(error);
  }
}

function* everyCommand(command: Command): Generator<Command> {
  yield command;
  for (const inner of command.commands) yield* everyCommand(inner);
}

function shellOf(terminal: Terminal, flags: Flags, { env, signal }: Surroundings): Shell {
  let connection: Connection | undefined;
  // When it is first needed: what works without a server must not ask where it is.
  const connected = (): Connection => (connection ??= new Connection(targetOf(flags, env), signal));
  return {
    call: (method, path, body) => connected().call(method, path, body),
    stream: (path, body, until) => connected().stream(path, body, until),
    download: (path, accept) => connected().download(path, accept),
    read: readDocument,
    print: (text) => terminal.print(text),
    note: (text) => terminal.note(text),
    bar: (text) => terminal.bar(text),
    table: (columns, rows) => terminal.table(columns, rows),
    json: flags.json === true,
    quiet: flags.quiet === true,
    env,
    signal,
  };
}
