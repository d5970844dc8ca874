import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { describe, expect, it } from '@jest/globals';

import { isEventType } from '#libs/events/src/catalogue.js';
import type { PlatformEvent } from '#libs/events/src/envelope.js';
import { Refusal } from '#libs/intake/src/receiving/refusal.js';
import { InboundServer } from '#libs/intake/testing/inbound-server.js';
import { isInboundType } from '#libs/plugin-sdk/src/inbound-types.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';
import { checkRule } from '#libs/rules/src/language/definition.js';
import { warningsOf } from '#libs/rules/src/language/warnings.js';
import { tryOut } from '#libs/rules/src/trial/trial.js';

const ROOT = resolve(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'docs/providers');
const pages = readdirSync(FOLDER).filter((name) => name.endsWith('.md'));
const textOf = (page: string): string => readFileSync(join(FOLDER, page), 'utf8');
/** Words in backticks. */
const codesIn = (text: string): readonly string[] => [...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!);

describe('the pages about providers', () => {
  it('are there for each that comes with the platform', () => {
    for (const { name } of builtInProviders.providers!) {
      const page = `${name.replaceAll('_', '-')}.md`;
      expect(pages).toContain(page);
      expect(textOf(page)).toContain(`Provider \`${name}\``);
      expect(textOf('README.md')).toContain(`[\`${name}\`](${page})`);
    }
  });

  it.each(pages)('%s names event types that exist', (page) => {
    const types = codesIn(textOf(page)).filter((code) =>
      /^(git|pr|issue|comment|release|pipeline|message|command|interaction|webhook|integration)\.[a-z_]+$/.test(code),
    );
    // Slack has names of the same form.
    const foreign = new Set(['message.channels', 'message.im']);
    expect(types.filter((type) => !foreign.has(type) && !isEventType(type))).toEqual([]);
  });

  it.each(pages)('%s names saved requests that exist', (page) => {
    const named = [...textOf(page).matchAll(/libs\/providers\/fixtures\/[\w./-]+\.http/g)].map(([path]) => path);
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it.each(
    builtInProviders.providers!.filter(({ refusesInbound }) => refusesInbound === undefined).map(({ name }) => name),
  )('the one about %s has a saved request to try, signed by that provider if it can be', (name) => {
    const text = textOf(`${name.replaceAll('_', '-')}.md`);
    expect(text).toContain(`libs/providers/fixtures/${name}/`);
    const provider = builtInProviders.providers!.find((one) => one.name === name)!;
    expect(text.includes(`--sign ${name}`)).toBe(provider.sign !== undefined);
  });

  it.each(builtInProviders.providers!.map(({ name }) => name))(
    'the one about %s names every key of its config',
    (name) => {
      const text = textOf(`${name.replaceAll('_', '-')}.md`);
      const { config } = builtInProviders.providers!.find((one) => one.name === name)!;
      const missing = Object.keys(config?.properties ?? {}).filter((key) => !text.includes(key));
      expect(missing).toEqual([]);
    },
  );

  it('say between them what becomes every type that comes from outside', () => {
    const named = new Set(pages.flatMap((page) => codesIn(textOf(page))).filter((code) => isInboundType(code)));
    expect(named.size).toBeGreaterThan(15);
  });

  it.each(pages)('%s links to pages that exist', (page) => {
    const links = [...textOf(page).matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link]) => link!);
    expect(links.filter((link) => !existsSync(join(FOLDER, link)))).toEqual([]);
  });
});

describe('the rules on the page about Slack', () => {
  const rules = [...textOf('slack.md').matchAll(/^```json\n(.*?)^```$/gms)].map(([, body]) =>
    checkRule(JSON.parse(body!)),
  );
  const message = { type: 'message', user: 'U1', text: '<@U0BOT> deploy', ts: '1795180455.1', channel: 'C1' };
  /** What is recorded of an event as Slack sends it. */
  async function recorded(event: object): Promise<PlatformEvent> {
    const server = new InboundServer([builtInProviders]);
    const { id } = await server.integration('slack');
    const request = {
      headers: {},
      rawBody: Buffer.from(JSON.stringify({ type: 'event_callback', event_id: 'Ev1', event })),
      query: {},
      contentType: 'application/json',
      sourceIp: '127.0.0.1',
    };
    const outcome = await server.pipeline.examine(server.table.withId(id)!, request, server.clock.now());
    if (outcome instanceof Refusal) throw new Error(outcome.code);
    const { type, data, metadata } = outcome.deliveries[0]!.events[0]!;
    const { source, subject, orgId, timestamp } = JSON.parse(metadata) as PlatformEvent;
    return { id: 'evt_1', type, source, subject, orgId, timestamp, data: JSON.parse(data) as never };
  }
  const outcomes = async (event: object) => {
    const platformEvent = await recorded(event);
    return rules.map((rule) => tryOut(rule, platformEvent).outcome);
  };

  it('can be saved without a warning', () => {
    expect(rules.map(({ definition, compiled }) => warningsOf(definition, compiled))).toEqual([[], []]);
  });

  it('act once each on a mention that comes twice', async () => {
    expect(await outcomes(message)).toEqual(['not_matched', 'matched']);
    expect(await outcomes({ ...message, type: 'app_mention' })).toEqual(['matched', 'not_matched']);
  });

  it('leave alone what bots say, and messages that are edited', async () => {
    const edited = { type: 'message', subtype: 'message_changed', channel: 'C1', message };
    expect(await outcomes(edited)).toEqual(['not_matched', 'not_matched']);
    expect(await outcomes({ ...message, subtype: 'bot_message', bot_id: 'B1' })).toEqual([
      'not_matched',
      'not_matched',
    ]);
  });
});
