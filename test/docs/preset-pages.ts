import type { Preset } from '#libs/plugin-sdk/src/scheme/define-preset.js';
import { builtInPresets } from '#libs/providers/src/presets/built-in-presets.js';
import { presetSettings } from '#libs/providers/src/verify/preset-provider.js';

const GROUPS: Readonly<Record<Preset['group'], string>> = {
  code: 'Code hosts and builds',
  planning: 'Trackers, boards and documents',
  monitoring: 'Errors, alerts and incidents',
  payments: 'Payments and shops',
  messaging: 'Chats, calls and mail',
  business: 'Customers, forms, dates and content',
  cloud: 'Hosting, clouds and identity',
};
const NOTE = '<!-- Written by `npm run docs` from libs/providers/src/presets. Change it there. -->';

/** The pages of docs/integrations that are made from the presets, by file name. */
export function presetPages(): ReadonlyMap<string, string> {
  const groups = Object.keys(GROUPS) as Preset['group'][];
  return new Map([['README.md', index(groups)], ...groups.map((group) => [`${group}.md`, pageOf(group)] as const)]);
}

const inGroup = (group: Preset['group']): readonly Preset[] =>
  builtInPresets.filter((preset) => preset.group === group).sort((a, b) => a.title.localeCompare(b.title, 'en'));

const index = (groups: readonly Preset['group'][]): string => `# Senders

${NOTE}

Name the sender, and Millrace knows how its requests are proved and what is read from them:

\`\`\`json
{ "name": "billing", "provider": "generic_webhook", "preset": "stripe", "secret": "whsec_…" }
\`\`\`

\`npx millrace provider view stripe\` shows what a preset needs. GitHub, GitLab, Slack and others have [providers](../providers/README.md)
of their own. For a sender that is not here, [declare it](declaring-a-sender.md): that takes no code.

${groups
  .map(
    (group) =>
      `- [${GROUPS[group]}](${group}.md): ${inGroup(group)
        .map(({ title }) => title)
        .join(', ')}.`,
  )
  .join('\n')}
`;

const pageOf = (group: Preset['group']): string => `# ${GROUPS[group]}

${NOTE}

In the steps, {url} is \`url\` of the integration. [Declaring a sender](declaring-a-sender.md) says what the parts of a declaration mean.

${inGroup(group).map(sectionOf).join('\n')}`;

function sectionOf(preset: Preset): string {
  const { name, title, docs, secret, help, signsUrl, unverified, neutral } = preset;
  const { verify, read = {}, answer, handshake } = preset.declare({});
  const { properties, required } = presetSettings(preset);
  const settings = Object.entries(properties).map(([key, schema]) => {
    const { description = '' } = schema as { readonly description?: string };
    return `\`${key}\`${required.includes(key) ? ' (required)' : ''}: ${description}`;
  });
  const id = read.deliveryId === undefined ? 'none: every request is new' : sources(read.deliveryId);
  const facts = [
    `**Secret:** ${secret.from}${secret.form === undefined ? '' : ` It looks like: ${secret.form}.`}`,
    settings.length > 0 && `**Settings in \`config\`:** ${settings.join(' ')}`,
    `**Event name:** ${read.eventType === undefined ? 'as any other webhook' : sources(read.eventType)}. **Delivery id:** ${id}.`,
    read.each !== undefined && `**One event for each of:** \`${read.each}\`.`,
    neutral && 'Its events become the same types as those of other hosts, such as `git.push` or `issue.created`.',
    handshake && `**Handshake:** \`${handshake.kind}\`, answered by itself.`,
    answer && `**Answered with:** ${answer.status}.`,
    signsUrl === true &&
      '**The address is signed:** set `MILLRACE_PUBLIC_URL`, and give the sender exactly the address of the integration.',
    unverified === true && '**Not verified yet:** compare the first request with the documentation of the sender.',
  ].filter((one) => typeof one === 'string');
  return `## ${title}

Preset \`${name}\` ([documentation](${docs})): \`${JSON.stringify(verify)}\`

${facts.map((fact) => `- ${fact}`).join('\n')}

${help.map((step, nth) => `${nth + 1}. ${step}`).join('\n')}
`;
}

const sources = (given: string | readonly string[]): string =>
  [given]
    .flat()
    .map((one) => `\`${one}\``)
    .join(', else ');
