import type { Command } from 'commander';

import * as verbs from './integration/integration-verbs.js';
import { refused } from './integration/refused-requests.js';
import { verify } from './integration/integration-verify.js';
import { AS_OF, listPast, viewPast } from './nouns/as-of.js';
import { several } from './options.js';
import type { Act } from './shell.js';

const CONFIG = 'a setting; the value may be JSON; may be repeated';
const SECRET = 'shared with the sender (MILLRACE_SECRET; - reads a line from the standard input)';

/** `millrace integration …` */
export function integrationCommands(program: Command, act: Act): void {
  const integration = program.command('integration').description('manage and test integrations');
  integration
    .command('ls')
    .description('list integrations')
    .option(...AS_OF)
    .action(({ asOf }: { asOf?: string }) =>
      act((shell) => (asOf === undefined ? verbs.list(shell) : listPast(shell, 'integrations', asOf))),
    );
  integration
    .command('view <integration>')
    .description('show an integration, by id or name: its address, verification and counts')
    .option(...AS_OF)
    .action((given: string, { asOf }: { asOf?: string }) =>
      act((shell) => (asOf === undefined ? verbs.view(shell, given) : viewPast(shell, 'integrations', asOf, given))),
    );
  integration
    .command('create')
    .description("create an integration; print its address and the steps in the sender's settings")
    .requiredOption('--name <name>', 'name of the integration')
    .option('--preset <preset>', 'a known sender: see millrace provider ls')
    .option('--provider <provider>', 'the kind of sender (default generic_webhook)')
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
    .description('change an integration; other settings stay')
    .option('--name <name>', 'name of the integration')
    .option('--secret <secret>', `another one, ${SECRET}`)
    .option('--grace-seconds <n>', 'with --secret: seconds for which the earlier secret stays valid (default 86400)')
    .option('--config <key=value>', `${CONFIG}; null removes it`, several)
    .option('--enable', 'enable the integration')
    .option('--disable', 'disable the integration')
    .action((given: string, options: verbs.UpdateOptions) => act((shell) => verbs.update(shell, given, options)));
  integration
    .command('rm <integration>')
    .description('delete an integration; its events stay')
    .action((given: string) => act((shell) => verbs.remove(shell, given)));
  integration
    .command('refused <integration>')
    .description('list the newest requests that an integration refused, and what the sender must do')
    .option('--limit <n>', 'most requests (default 50)')
    .action((given: string, options: { limit?: string }) => act((shell) => refused(shell, given, options)));
  integration
    .command('verify <integration> <file>')
    .description('test a saved request (*.http) with an integration: show the outcome, or which part does not match')
    .addHelpText(
      'after',
      `
Nothing is stored. Exits with 1 if the request would be refused.

Example:
  millrace integration verify billing stripe.http`,
    )
    .action((given: string, file: string) => act((shell) => verify(shell, given, file)));
  integration
    .command('reconcile <integration>')
    .description('find deliveries that the sender made and the log lacks, and request them again')
    .action((given: string) => act((shell) => verbs.reconcile(shell, given)));
  integration
    .command('handshake <integration>')
    .description('show the steps of a handshake (administrators)')
    .option('--open', 'accept a new secret from the sender for ten minutes')
    .action((given: string, options: { open?: true }) => act((shell) => verbs.handshake(shell, given, options)));
}
