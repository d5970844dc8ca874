import { readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';
import { load } from 'js-yaml';

import { catalogue } from '#libs/events/src/catalogue.js';
import { MAX_HOPS } from '#libs/events/src/envelope.js';
import { MAX_ACTIONS } from '#libs/events/src/shapes/rule-shape.js';
import type { ActionKind } from '#libs/rules/src/actions/action-kind.js';
import { builtInActions } from '#libs/rules/src/actions/built-in.js';
import { heldByBurst } from '#libs/flow/src/held-back.js';
import { checkRule } from '#libs/rules/src/language/definition.js';
import { warningsOf } from '#libs/rules/src/language/warnings.js';
import { tryOut } from '#libs/rules/src/trial/trial.js';

const text = readFileSync(new URL('../../docs/rules-actions.md', import.meta.url), 'utf8');
const rules = [...text.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, body]) => load(body!) as { name: string });
const alert = { severity: 'critical', state: 'down', host: 'db-1', message: 'no answer' };

/** The event of its type that the catalogue shows, or an alert. */
function outcomeOf(rule: { readonly name: string; readonly eventType?: string }) {
  const type = rule.eventType as keyof typeof catalogue;
  const data =
    rule.eventType === 'webhook.received' ? { payload: alert } : { ...catalogue[type].example, branch: 'main' };
  const event = { id: 'evt_1', type, source: 'github', subject: '', orgId: 'org_1', timestamp: '2026-11-20T12:00:00Z' };
  return tryOut(checkRule(rule), { ...event, data });
}

describe('the examples in docs/rules-actions.md', () => {
  it.each(rules)('$name can be saved without a warning, and matches', (rule) => {
    const { definition, compiled } = checkRule(rule);
    expect(warningsOf(definition, compiled)).toEqual([]);
    expect(outcomeOf(rule)).toMatchObject({ outcome: 'matched' });
  });

  it('show each kind of flow control', () => {
    for (const key of ['window', 'once', 'debounce', 'throttle'])
      expect(rules.some((rule) => Object.hasOwn(rule, key))).toBe(true);
    const keys = Object.fromEntries(rules.map((rule) => [rule.name, outcomeOf(rule).flow]));
    expect(keys).toMatchObject({
      'one issue for an outage': { once: { key: 'db-1', quiet: '15m' } },
      'deploy after the last push': { debounce: { key: 'acme/app', quiet: '2m', maxWait: '20m' } },
      'page during the night': { window: { text: 'mon,tue,wed,thu,fri 18:00-08:00 Europe/Berlin' } },
    });
  });

  it('list every built-in action as it is registered', () => {
    const rows = Object.entries<ActionKind>(builtInActions).map(([type, { with: parts, description }]) => {
      const keys = Object.keys(parts.properties).map((key) => `\`${key}${parts.required?.includes(key) ? '' : '?'}\``);
      return [`\`${type}\``, keys.join(', '), description];
    });
    const isAction = (line: string): boolean => /^\| `\w+_\w+`/.test(line);
    const listed = text.split('\n').filter(isAction);
    expect(
      listed.map((line) =>
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      ),
    ).toEqual(rows);
  });

  it('name the limits as they are', () => {
    expect(text).toMatch(new RegExp(`up to ${MAX_ACTIONS}\\sactions`));
    expect(text).toContain(`more than ${MAX_HOPS} causes`);
  });

  it('say why as the decision does', () => {
    const { condition, pointer } = heldByBurst({ kind: 'once', quiet: '15m' }, 'db-1');
    expect(text).toContain(`${condition}; once.key was "db-1"  (${pointer})`);
  });
});
