import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { describe, expect, it } from '@jest/globals';
import { Command } from 'commander';
import { load } from 'js-yaml';

import { applyCommand } from '#apps/cli/src/apply.js';
import { ruleCommands } from '#apps/cli/src/rule.js';
import type { PlatformEvent } from '#libs/events/src/envelope.js';
import { compile } from '#libs/expressions/src/compile.js';
import { lint } from '#libs/expressions/src/lint.js';
import { github } from '#libs/providers/src/github/github.js';
import { checkRule } from '#libs/rules/src/language/definition.js';
import { operators } from '#libs/rules/src/language/operators.js';
import { warningsOf } from '#libs/rules/src/language/warnings.js';
import { tryOut } from '#libs/rules/src/trial/trial.js';

const text = readFileSync(new URL('../../docs/rules.md', import.meta.url), 'utf8');
const blocks = [...text.matchAll(/(?:^<!-- warned: (\S+) -->\n\n)?^```(\w+)\n(.*?)^```$/gms)].map(
  ([, warned, language, body]) => ({ warned, language: language!, body: body! }),
);
const inLanguage = (...languages: string[]) => blocks.filter(({ language }) => languages.includes(language));
const rules = inLanguage('json', 'yaml').map(({ warned, body }) => {
  const rule = load(body) as { name: string };
  return { name: rule.name, warned, rule };
});
const lines = inLanguage('bash').flatMap(({ body }) => body.trim().split('\n'));
const ruleNamed = (name: string) => checkRule(rules.find((one) => one.name === name)!.rule);

const examples = createRequire(import.meta.url)('@octokit/webhooks-examples') as readonly {
  readonly name: string;
  readonly examples: readonly Record<string, unknown>[];
}[];

/** A push as GitHub sends it, with these files, as it is recorded. */
function githubPush(
  branch: string,
  files: { added?: string[]; modified?: string[]; removed?: string[] },
): PlatformEvent {
  const pushes = examples.find(({ name }) => name === 'push')!.examples;
  const example = pushes.find(({ commits }) => (commits as object[]).length > 0)!;
  const [commit] = example['commits'] as object[];
  const payload = {
    ...example,
    ref: `refs/heads/${branch}`,
    commits: [commit, { ...commit, added: [], modified: [], removed: [], ...files }],
  };
  const request = {
    headers: { 'x-github-event': 'push', 'x-github-delivery': 'd1' },
    rawBody: Buffer.alloc(0),
    query: {},
    contentType: 'application/json',
    sourceIp: '127.0.0.1',
  };
  const understood = github.normalise(
    { value: payload as never, kind: 'json', request },
    { secrets: [], config: {}, now: new Date() },
  );
  if (!('events' in understood)) throw new Error('the payload was not understood');
  const { type, subject = '', data } = understood.events[0]!;
  const timestamp = '2026-11-20T13:14:15.123Z';
  return {
    id: 'evt_1',
    type,
    source: 'github',
    subject,
    orgId: 'org_1',
    timestamp,
    data: data,
  };
}

describe('the examples in docs/rules.md', () => {
  it('are there', () => {
    expect(rules.length).toBeGreaterThanOrEqual(5);
    expect(lines.length).toBeGreaterThanOrEqual(15);
    expect(inLanguage('jmespath').length).toBeGreaterThanOrEqual(2);
  });

  it.each(rules)('$name can be saved, and is warned about only where it says so', ({ rule, warned }) => {
    const { definition, compiled } = checkRule(rule);
    expect(warningsOf(definition, compiled).map(({ code }) => code)).toEqual(warned === undefined ? [] : [warned]);
  });

  it.each(inLanguage('jmespath').flatMap(({ body }) => body.trim().split('\n')))('%s compiles', (expression) => {
    compile(expression);
    expect(lint(expression)).toEqual([]);
  });

  it.each(lines)('%s is understood by the command line', async (line) => {
    const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!);
    const program = new Command('millrace').exitOverride().configureOutput({ writeErr: () => undefined });
    let acted = 0;
    const act = (): Promise<void> => Promise.resolve(void acted++);
    ruleCommands(program, act);
    applyCommand(program, act);
    for (const command of program.commands.flatMap((one) => [one, ...one.commands]))
      command.exitOverride().configureOutput({ writeErr: () => undefined });
    program.option('--json').option('--quiet');
    await program.parseAsync(words.slice(1), { from: 'user' });
    expect(acted).toBe(1);
  });

  it('tell a push that touches the folder from one that does not', () => {
    const outcome = (branch: string, files: Parameters<typeof githubPush>[1]) =>
      tryOut(ruleNamed('the API changed on main'), githubPush(branch, files)).outcome;
    expect(outcome('main', { modified: ['services/api/src/main.ts'] })).toBe('matched');
    expect(outcome('main', { added: ['services/api/README.md'] })).toBe('matched');
    expect(outcome('main', { removed: ['a', 'services/api/b'] })).toBe('matched');
    expect(outcome('main', { modified: ['services/apis/x'] })).toBe('not_matched');
    expect(outcome('main', {})).toBe('not_matched');
    expect(outcome('topic', { modified: ['services/api/src/main.ts'] })).toBe('not_matched');
  });

  it('tell a push of documentation alone', () => {
    const outcome = (files: Parameters<typeof githubPush>[1]) => {
      const event = githubPush('main', files);
      const commits = (event.data as { commits: object[] }).commits.slice(1);
      return tryOut(ruleNamed('documentation only'), { ...event, data: { ...event.data, commits: commits as never } })
        .outcome;
    };
    expect(outcome({ modified: ['docs/a.md'], added: ['docs/b.md'] })).toBe('matched');
    expect(outcome({ modified: ['docs/a.md', 'src/a.ts'] })).toBe('not_matched');
    expect(outcome({})).toBe('not_matched');
  });

  it('name every operator', () => {
    for (const operator of operators) expect(text).toContain(`\`${operator}\``);
  });
});
