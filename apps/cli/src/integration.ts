import type { Command } from 'commander';

import * as verbs from './integration/integration-verbs.js';
import { verify } from './integration/integration-verify.js';
import { several } from './options.js';
import type { Act } from './shell.js';

const CONFIG = 'a setting; the value may be JSON; may be repeated';
const SECRET = 'shared with the sender (MILLRACE_SECRET; - reads a line from the standard input)';

/** `millrace integration …` */
export function integrationCommands(program: Command, act: Act): void {
  const integration = program.command('integration').description('set up and test inbound sources');
  integration
    .command('ls')
    .description('list integrations')
    .action(() => act((shell) => verbs.list(shell)));
  integration
    .command('view <integration>')
    .description('show an integration, by id or name: its address, how it is verified, what came in')
    .action((given: string) => act((shell) => verbs.view(shell, given)));
  integration
    .command('create')
    .description('set up a sender and print its address, and what to do on the screen of the sender')
    .requiredOption('--name <name>', 'what you call it')
    .option('--preset <preset>', 'a sender that is known by name: see millrace provider ls')
    .option('--provider <provider>', 'the code that understands it (default generic_webhook)')
    .option('--secret <secret>', SECRET)
    .option('--config <key=value>', CONFIG, several)
    .option('--custom-path <path>', 'also receive at /api/webhook/<path>')
    .addHelpText(
      'after',
      `
Examples:
  millrace integration create --preset stripe --name billing --secret whsec_…
  millrace integration create --preset asana --name tasks
  millrace integration create --name acme --secret … --config 'verify={"kind":"hmac","header":"X-Acme-Signature"}'`,
    )
    .action((options: verbs.CreateOptions) => act((shell, { env }) => verbs.create(shell, options, env)));
  integration
    .command('update <integration>')
    .description('change an integration; settings that are not named stay')
    .option('--name <name>', 'what you call it')
    .option('--secret <secret>', `another one, ${SECRET}`)
    .option('--grace-seconds <n>', 'with --secret: how long the earlier one is still accepted (default 86400)')
    .option('--config <key=value>', `${CONFIG}; null removes it`, several)
    .option('--enable', 'receive again')
    .option('--disable', 'receive nothing')
    .action((given: string, options: verbs.UpdateOptions) => act((shell) => verbs.update(shell, given, options)));
  integration
    .command('rm <integration>')
    .description('delete an integration; its events stay')
    .action((given: string) => act((shell) => verbs.remove(shell, given)));
  integration
    .command('verify <integration> <file>')
    .description('try a saved request (*.http) on an integration: what would happen, or which part does not fit')
    .addHelpText(
      'after',
      `
Nothing is stored. Exits with 1 if the request would be refused.

Example:
  millrace integration verify billing stripe.http`,
    )
    .action((given: string, file: string) => act((shell) => verify(shell, given, file)));
  integration
    .command('handshake <integration>')
    .description('show what a handshake asks of you (administrators)')
    .option('--open', 'let the sender give a new secret away, within ten minutes')
    .action((given: string, options: { open?: true }) => act((shell) => verbs.handshake(shell, given, options)));
}
