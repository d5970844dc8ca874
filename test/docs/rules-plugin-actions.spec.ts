import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { describe, expect, it } from '@jest/globals';
import { load } from 'js-yaml';

import { parseConfig } from '#apps/server/src/config.js';
import { MAX_OUTPUT_BYTES } from '#libs/actions/src/attempts/attempt.js';
import { TIMEOUT_MS } from '#libs/actions/src/plugins/run-action.js';
import { isEventType } from '#libs/events/src/catalogue.js';
import { formatDuration } from '#libs/kernel/src/time/durations.js';
import { loadPlugins } from '#libs/plugin-sdk/src/loading/load-plugins.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { checkRule } from '#libs/rules/src/language/definition.js';
import { warningsOf } from '#libs/rules/src/language/warnings.js';

const ROOT = resolve(import.meta.dirname, '../..');
const text = readFileSync(join(ROOT, 'docs/rules-plugin-actions.md'), 'utf8');
const blockOf = (language: string): string => new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'ms').exec(text)![1]!;
/** As the page says. */
const [, specifier] = /^MILLRACE_PLUGINS=(\S+) /m.exec(text)!;
const { actions } = new Plugins(await loadPlugins([specifier!], ROOT));

describe('the page on actions of plug-ins', () => {
  it('shows the example as it is', () => {
    const [, file] = /^<!-- file: (\S+) -->$/m.exec(text)!;
    expect(blockOf('js')).toBe(readFileSync(join(ROOT, file!), 'utf8'));
  });

  it('shows a rule that is valid where the example is loaded, and nowhere else', () => {
    const rule = load(blockOf('yaml'));
    const { definition, compiled } = checkRule(rule, actions);
    expect(warningsOf(definition, compiled)).toEqual([]);
    expect(() => checkRule(rule)).toThrow(/Must be one of/);
    const without = { ...(rule as object), actions: [{ type: 'page-on-call', with: { team: 'db' } }] };
    expect(() => checkRule(without, actions)).toThrow('/actions/0/with/text: "text" is required.');
  });

  it('names event types that exist, and links to pages that do', () => {
    const types = [...text.matchAll(/`(action\.\w+)`/g)].map(([, code]) => code!);
    const codes = ['action.bug', 'action.timeout'];
    expect(types.filter((type) => !codes.includes(type) && !isEventType(type))).toEqual([]);
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link]) => link!);
    expect(links.filter((link) => !existsSync(join(ROOT, 'docs', link)))).toEqual([]);
  });

  it('tells the limits and delays that hold', () => {
    const parsed = parseConfig({}, ROOT);
    if (parsed.kind === 'invalid') throw new Error(parsed.problems.join());
    const { actionRetrySchedule } = parsed.config.settings;
    expect(actionRetrySchedule.map(formatDuration)).toEqual(['10s', '1m', '5m', '30m']);
    expect(text.replace(/\s+/g, ' ')).toContain('four more attempts follow, after 10 s, 1 min, 5 min and 30 min');
    expect(readFileSync(join(ROOT, 'README.md'), 'utf8')).toContain('`10s,1m,5m,30m`');
    expect(text).toContain(TIMEOUT_MS.toLocaleString('en'));
    expect(text).toContain(`${MAX_OUTPUT_BYTES / 1024} KiB`);
  });
});
