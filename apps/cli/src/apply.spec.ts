import { describe, expect, it } from '@jest/globals';

import { FakeShell } from '../testing/fake-shell.js';
import { wantedOf } from './apply/apply-files.js';
import { apply } from './apply/apply-plan.js';
import { report } from './apply/apply-report.js';
import { isSame } from './apply/apply-same.js';
import { ServerSaidNo, Unreachable } from './failures.js';

const rule = { name: 'pushes', eventType: 'git.push', actions: [{ type: 'create_issue' }] };
const saved = {
  id: 'rul_1',
  ...rule,
  eventSource: '*',
  actions: [{ type: 'create_issue', with: {} }],
  enabled: true,
  status: 'enabled',
  version: 3,
};
const file = (name: string, value: unknown) => ({ file: name, text: JSON.stringify(value) });
const flow = { name: 'hello', steps: [] };
const files = [file('rules/a.json', rule), file('workflows/b.json', flow)];
const RULES = 'GET /api/v1/rules?limit=200';
const FLOWS = 'GET /api/v1/workflows?limit=200';
const none = { data: [], nextCursor: null };
const valid = { valid: true, version: 'v1', errors: [], warnings: [] };
const changes = ({ applied }: { readonly applied: readonly { readonly change: string }[] }) =>
  applied.map(({ change }) => change);

describe('a file', () => {
  it('is a rule or a workflow by what it holds', () => {
    expect(wantedOf(files)).toMatchObject([
      { kind: 'rule', name: 'pushes', body: rule },
      { kind: 'workflow', name: 'hello', source: JSON.stringify(flow) },
    ]);
  });

  it.each([
    [{ file: 'x.yaml', text: 'a: [' }, /unexpected end/i],
    [file('x.json', [1]), /must hold a rule, a workflow or an event type/],
    [file('x.json', { eventType: 'a' }), /"name" is required/],
    [file('x.json', { name: 'a' }), /eventType.*steps/],
  ])('that is neither has its problem: %j', (one, problem) => {
    expect(wantedOf([one])).toMatchObject([
      { kind: 'unreadable', problem: { line: 1, detail: expect.stringMatching(problem) } },
    ]);
  });

  it('with the name of another one is refused', () => {
    expect(wantedOf([file('a.json', rule), file('b.json', rule)])).toMatchObject([
      { kind: 'rule' },
      { kind: 'unreadable', problem: { detail: 'a.json already has the rule pushes.' } },
    ]);
  });
});

describe('a rule is the same', () => {
  it.each<[boolean, object]>([
    [true, rule],
    [true, { ...rule, enabled: true }],
    [true, { ...rule, eventSource: '*' }],
    [false, { ...rule, enabled: false }],
    [false, { ...rule, description: 'new' }],
    [false, { ...rule, actions: [] }],
    [false, { ...rule, throttle: { limit: 1, per: '1m' } }],
  ])('%s: %j', (same, body) => {
    expect(isSame(body as Record<string, unknown>, saved)).toBe(same);
  });

  it('not where the file leaves out what is saved', () => {
    expect(isSame(rule, { ...saved, description: 'old' })).toBe(false);
  });
});

describe('applying', () => {
  it('creates what is new', async () => {
    const shell = new FakeShell({
      [RULES]: none,
      [FLOWS]: none,
      'POST /api/v1/rules': { ...saved, warnings: [] },
      'POST /api/v1/workflows/validate': valid,
      'PUT /api/v1/workflows/hello': {},
    });
    expect(changes(await apply(shell, wantedOf(files), false))).toEqual(['created', 'created']);
  });

  it('changes nothing where everything is the same', async () => {
    const shell = new FakeShell({
      [RULES]: { data: [saved], nextCursor: null },
      [FLOWS]: { data: [{ name: 'hello', version: 'v1' }], nextCursor: null },
      'POST /api/v1/workflows/validate': valid,
    });
    const applied = await apply(shell, wantedOf(files), false);
    expect(changes(applied)).toEqual(['unchanged', 'unchanged']);
    expect(report(shell, applied, false)).toBe(0);
    expect(shell.notes).toEqual(['Nothing changed: everything matches the files.']);
    expect(shell.asked.filter(({ method }) => method === 'PUT')).toEqual([]);
  });

  it('says what a save changed', async () => {
    const shell = new FakeShell({
      [RULES]: { data: [saved], nextCursor: null },
      'PUT /api/v1/rules/rul_1': { ...saved, version: 4 },
    });
    const wanted = wantedOf([file('rules/a.json', { ...rule, description: 'new' })]);
    expect(changes(await apply(shell, wanted, false))).toEqual(['updated']);
  });

  it('does nothing on a dry run, and checks all the same', async () => {
    const shell = new FakeShell({
      [RULES]: { data: [saved], nextCursor: null },
      [FLOWS]: none,
      'POST /api/v1/rules/test': { warnings: [{ pointer: '/conditions', code: 'x', message: 'odd' }] },
      'POST /api/v1/workflows/validate': valid,
    });
    const wanted = wantedOf([...files, file('rules/c.json', { ...rule, name: 'new' })]);
    const applied = await apply(shell, wanted, true);
    expect(changes(applied)).toEqual(['unchanged', 'created', 'created']);
    expect(shell.asked.filter(({ method }) => method === 'PUT')).toEqual([]);
    expect(report(shell, applied, true)).toBe(0);
    expect(shell.notes[0]).toBe('rules/a.json: warning: /conditions: odd');
    expect(shell.out).toContain('workflows/b.json | workflow | hello | to be created');
  });

  it('places what a workflow is warned about in its file', async () => {
    const warnings = [{ pointer: '/steps/0/if', code: 'x', message: 'No field ouput.', line: 2, column: 7 }];
    const shell = new FakeShell({
      [FLOWS]: none,
      'POST /api/v1/workflows/validate': { ...valid, warnings },
      'PUT /api/v1/workflows/a': {},
    });
    const wanted = wantedOf([{ file: 'flows.yaml', text: '---\nname: a\nsteps: []\n' }]);
    report(shell, await apply(shell, wanted, false), false);
    expect(shell.notes[0]).toBe('flows.yaml:2:7: warning: /steps/0/if No field ouput.');
  });

  it('goes on after what fails, names it with its place, and fails in the end', async () => {
    const shell = new FakeShell({
      [RULES]: { data: [saved, { ...saved, id: 'rul_2' }], nextCursor: null },
      [FLOWS]: none,
      'POST /api/v1/workflows/validate': {
        valid: false,
        version: 'v',
        errors: [{ line: 3, column: 5, detail: 'is odd' }],
      },
    });
    const wanted = wantedOf([...files, file('rules/d.json', { ...rule, name: 'd' }), { file: 'e.yaml', text: 'a: [' }]);
    const applied = await apply(shell, wanted, false);
    expect(changes(applied)).toEqual(['failed', 'failed', 'failed', 'failed']);
    expect(report(shell, applied, false)).toBe(1);
    expect(shell.notes).toEqual([
      'rules/a.json:1:9: Several rules have this name: rul_1, rul_2. Rename or archive all but one.',
      'workflows/b.json:3:5: is odd',
      'rules/d.json: no answer to POST /api/v1/rules',
      expect.stringMatching(/^e\.yaml:1:5: .*unexpected end/i),
      '4 failed.',
    ]);
  });

  it('names each problem that the server sees with its place in the file', async () => {
    const problems = [
      { pointer: '/conditions/field', detail: 'column 1: is odd', code: 'expression.malformed' },
      { pointer: '/eventType', detail: 'is missing.' },
    ];
    const refused = new ServerSaidNo(422, 'rule.invalid', 'The rule is not valid', problems);
    const shell = new FakeShell({ [RULES]: none, 'POST /api/v1/rules': refused });
    const text = 'name: a\nconditions:\n  field: "("\neventType:\n';
    report(shell, await apply(shell, wantedOf([{ file: 'a.yaml', text }]), false), false);
    expect(shell.notes).toEqual([
      'a.yaml:3:10: /conditions/field column 1: is odd (expression.malformed)',
      'a.yaml:4:1: /eventType is missing. (rule.invalid)',
      '1 failed.',
    ]);
  });

  it('reports that there are too many rules, and goes on with those that are there', async () => {
    const shell = new FakeShell({
      [RULES]: { data: [saved], nextCursor: null },
      'POST /api/v1/rules': new ServerSaidNo(409, 'rule.too_many', 'This organisation has 10000 rules.'),
      'PUT /api/v1/rules/rul_1': { ...saved, version: 4 },
    });
    const wanted = wantedOf([file('n.json', { ...rule, name: 'n' }), file('a.json', { ...rule, description: 'new' })]);
    const applied = await apply(shell, wanted, false);
    expect(changes(applied)).toEqual(['failed', 'updated']);
    report(shell, applied, false);
    expect(shell.notes).toEqual(['n.json: This organisation has 10000 rules. (rule.too_many)', '1 updated, 1 failed.']);
  });

  it('has a bounded number of saves under way, and shows how far it is', async () => {
    let [underWay, most] = [0, 0];
    const shell = new FakeShell({
      [RULES]: none,
      'POST /api/v1/rules': async () => {
        most = Math.max(most, ++underWay);
        await new Promise(setImmediate);
        underWay--;
        return saved;
      },
    });
    const many = Array.from({ length: 100 }, (_, n) => file(`${n}.json`, { ...rule, name: `${n}` }));
    const { applied } = await apply(shell, wantedOf(many), false);
    expect(applied.map(({ name }) => name)).toEqual(many.map((_, n) => `${n}`));
    expect(most).toBe(16);
    expect(shell.bars).toContain(`[${'='.repeat(12)}${' '.repeat(12)}] 50 of 100 applied`);
    expect(shell.bars.at(-1)).toBeUndefined();
  });

  it.each([
    ['nobody answers any more', (_: FakeShell): Error => new Unreachable('No Millrace answers.')],
    [
      'somebody interrupts it',
      (shell: FakeShell): Error => {
        shell.interrupt.abort();
        return new DOMException('aborted', 'AbortError');
      },
    ],
  ])('ends early where %s, and says what was done and what was not', async (_, failure) => {
    let posts = 0;
    const shell: FakeShell = new FakeShell({
      [RULES]: none,
      'POST /api/v1/rules': () => {
        if (++posts < 10) return saved;
        throw failure(shell);
      },
    });
    const many = Array.from({ length: 60 }, (_, n) => file(`${n}.json`, { ...rule, name: `${n}` }));
    const outcomes = await apply(shell, wantedOf(many), false);
    expect(outcomes.stopped).toBeDefined();
    const found = changes(outcomes);
    expect(found.filter((change) => change === 'created')).toHaveLength(9);
    expect(found.filter((change) => change === 'failed').length).toBeGreaterThanOrEqual(1);
    expect(found.filter((change) => change === 'failed').length).toBeLessThanOrEqual(16);
    expect(found.slice(-10)).toEqual(Array(10).fill('skipped'));
    expect(report(shell, outcomes, false)).toBe(1);
    expect(shell.notes[0]).toMatch(/^\d+\.json: The server did not answer, so this may or may not be saved/);
    expect(shell.notes.at(-1)).toMatch(/^9 created, \d+ failed, \d+ skipped\.$/);
  });
});

describe('event types', () => {
  const added = {
    type: 'developer.added',
    description: 'New.',
    schema: { type: 'object', properties: { login: { type: 'string' } } },
    example: { login: 'ann' },
  };
  const TYPES = 'GET /api/v1/event-types?limit=200';
  const stored = { ...added, version: 2, archived: false, builtIn: false, system: false, updatedAt: null };
  const together = [file('a.json', rule), file('b.json', flow), file('event-types/c.json', added)];
  const assuming = { eventTypes: { 'developer.added': added.schema }, workflows: ['hello'] };
  const order = (shell: FakeShell) =>
    shell.asked.filter(({ method }) => method !== 'GET').map(({ method, path }) => `${method} ${path}`);

  it('are applied before the workflows and rules that may name them', async () => {
    const shell = new FakeShell({
      [RULES]: none,
      [FLOWS]: none,
      [TYPES]: none,
      'POST /api/v1/event-types': stored,
      'POST /api/v1/workflows/validate': valid,
      'PUT /api/v1/workflows/hello': {},
      'POST /api/v1/rules': { ...saved, warnings: [] },
    });
    expect(changes(await apply(shell, wantedOf(together), false))).toEqual(['created', 'created', 'created']);
    expect(order(shell)).toEqual([
      'POST /api/v1/event-types',
      'POST /api/v1/workflows/validate',
      'PUT /api/v1/workflows/hello',
      'POST /api/v1/rules',
    ]);
  });

  it('are assumed on a dry run, and checked', async () => {
    const shell = new FakeShell({
      [RULES]: none,
      [FLOWS]: none,
      [TYPES]: none,
      'POST /api/v1/event-types/validate': { valid: true },
      'POST /api/v1/workflows/validate': valid,
      'POST /api/v1/rules/test': { warnings: [] },
    });
    expect(changes(await apply(shell, wantedOf(together), true))).toEqual(['created', 'created', 'created']);
    const bodies = Object.fromEntries(shell.asked.map(({ path, body }) => [path, body]));
    expect(bodies['/api/v1/workflows/validate']).toMatchObject({ assuming });
    expect(bodies['/api/v1/rules/test']).toMatchObject({ assuming });
    expect(bodies['/api/v1/event-types/validate']).toEqual(added);
  });

  it.each([
    ['unchanged', added, stored, []],
    ['updated', { ...added, description: 'Newer.' }, stored, ['PUT /api/v1/event-types/developer.added']],
    ['updated', added, { ...stored, archived: true }, ['PUT /api/v1/event-types/developer.added']],
  ])('are %s', async (change, body, there, calls) => {
    const shell = new FakeShell({
      [TYPES]: { data: [there], nextCursor: null },
      'PUT /api/v1/event-types/developer.added': stored,
    });
    expect(changes(await apply(shell, wantedOf([file('c.json', body)]), false))).toEqual([change]);
    expect(order(shell)).toEqual(calls);
  });
});

describe('a file with several documents', () => {
  const doc = (name: string, more = '') => `---\n# rul_${name}\nname: ${name}\neventType: git.push\n${more}`;
  const wantedIn = (text: string) => wantedOf([{ file: 'all.yaml', text }]);
  const NEW = 'POST /api/v1/rules';
  const CHECK = 'POST /api/v1/rules/test';

  it('is each of them, by the line at which it begins', () => {
    const text = `# all\n${doc('a', 'description: |\n  x\n  ---\n')}${doc('b')}---\n# nothing\n`;
    expect(wantedIn(text)).toMatchObject([
      { kind: 'rule', file: 'all.yaml:2', path: 'all.yaml', body: { name: 'a', description: 'x\n---\n' } },
      { kind: 'rule', file: 'all.yaml:9', body: { name: 'b' } },
    ]);
    expect(wantedIn(`# one\n---\nname: w\nsteps: []\n`)).toMatchObject([
      { file: 'all.yaml', source: '# one\n---\nname: w\nsteps: []\n' },
    ]);
    expect(wantedIn('')).toMatchObject([{ file: 'all.yaml', kind: 'unreadable' }]);
  });

  it('is brought into force', async () => {
    const shell = new FakeShell({ [RULES]: none, [CHECK]: { warnings: [] }, [NEW]: saved });
    expect(changes(await apply(shell, wantedIn(doc('a') + doc('b')), false))).toEqual(['created', 'created']);
  });

  it('is left alone where one of them cannot be read, beside other files', async () => {
    const shell = new FakeShell({ [RULES]: none, [CHECK]: { warnings: [] }, [NEW]: saved });
    const wanted = [...wantedIn(doc('a') + doc('b', 'x: [\n') + doc('c')), ...wantedOf([files[0]!])];
    const outcomes = await apply(shell, wanted, false);
    expect(changes(outcomes)).toEqual(['skipped', 'failed', 'skipped', 'created']);
    expect(shell.asked.filter(({ path }) => path === '/api/v1/rules').map(({ body }) => body)).toEqual([rule]);
    expect(report(shell, outcomes, false)).toBe(1);
    expect(shell.notes[0]).toMatch(/^all\.yaml:10:1: /);
  });

  it('is left alone where the server refuses one of them', async () => {
    const problems = [{ pointer: '/eventType', detail: 'is odd.' }];
    const check = ({ rule: { name } }: { rule: { name: string } }) => {
      if (name === 'b') throw new ServerSaidNo(422, 'rule.invalid', 'no', problems);
      return { warnings: [] };
    };
    for (const isDry of [true, false]) {
      const shell = new FakeShell({ [RULES]: none, [CHECK]: check, [NEW]: saved });
      const outcomes = await apply(shell, wantedIn(doc('a') + doc('b')), isDry);
      expect(changes(outcomes)).toEqual(['skipped', 'failed']);
      expect(shell.asked.map(({ path }) => path)).not.toContain('/api/v1/rules');
      report(shell, outcomes, isDry);
      expect(shell.notes[0]).toBe('all.yaml:8:12: /eventType is odd. (rule.invalid)');
    }
  });
});
