import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { load, loadAll, YAML11_SCHEMA } from 'js-yaml';

import type { RuleDefinition } from '#libs/events/src/shapes/rule-shape.js';
import { anyCharacter } from '#libs/kernel/testing/any-character.js';

import { checkRule } from '../language/definition.js';
import { inStream, ruleYaml } from './rule-yaml.js';

const saved = (rule: object): RuleDefinition => checkRule(rule).definition;
const yaml = (definition: RuleDefinition, status: 'enabled' | 'disabled' | 'archived' = 'enabled') =>
  // Over the wire, where half a pair would be lost.
  Buffer.from(ruleYaml({ id: 'rul_1', status, definition })).toString('utf8');

const titled = (title: string) =>
  saved({
    name: 'a',
    eventType: 'git.push',
    conditions: { field: 'data.x', operator: 'in', value: [title, { [title]: title }] },
    actions: [
      { type: 'create_issue', with: { title: `.${title}`, body: title } },
      { type: 'dispatch_workflow', with: { workflow: 'w', inputs: { [title]: [[title], {}, []] } } },
    ],
  });

const NASTY = [
  ...['2026-01-01', '2026-01-01T00:00:00Z', '12:30:45', '1e3', '0x1F', '0o17', '012', '1_000', '.inf', '.NaN', '-1'],
  ...[
    '1.0',
    '+1',
    '.5',
    '5.',
    'null',
    '~',
    '',
    'yes',
    'on',
    'No',
    'y',
    'true',
    'True',
    'false',
    '=',
    '<<',
    '---',
    '...',
  ],
  ...[
    '- a',
    '# c',
    'a: b',
    'a #b',
    ' lead',
    'trail ',
    '  ',
    '? a',
    ', a',
    '!!js/x',
    '&a',
    '*b',
    '%d',
    '@x',
    '`x',
    '[a]',
  ],
  ...['{a}', '"q"', "'q'", "it's", '|', '>', 'a\\b', 'a\nb', 'a\n', 'a\n\n', '\n', '\n a', ' a\n  b\n', 'a\r\nb', '\t'],
  ...['a\tb', 'a\n\t b', 'a \nb', 'a\n---\nb', 'a\n...\n', '--- a', '\ud800', '\ufeff', '\ufeffa', '\u2028', '\u0085'],
  ...[
    '\u007f',
    '\u0001',
    '\u200b',
    '\u00a0x',
    '😀',
    '日本',
    'é',
    'e\u0301',
    '\uffff',
    'word '.repeat(300) + 'end',
    'x'.repeat(2_000),
  ],
  ...['${{ data.x }}', 'look at ${{ data.x }}: # now', "${{ data.a == 'b' && `true` }}"],
];

describe('a rule as YAML', () => {
  it('is what a person would write', () => {
    const definition = saved({
      throttle: { per: '10m', limit: 1, key: '${{ data.host }}' },
      actions: [{ with: { title: 'Look:\n- ${{ data.branch }}\n' }, type: 'create_issue' }],
      conditions: { all: [{ field: 'data.branch', operator: 'equals', value: '1' }] },
      eventType: 'git.push',
      description: 'why',
      name: 'pushes: main',
    });
    expect(yaml(definition, 'disabled')).toBe(
      [
        '# rul_1',
        "name: 'pushes: main'",
        'description: why',
        'enabled: false',
        "eventSource: '*'",
        'eventType: git.push',
        'conditions:',
        '  all:',
        '    - field: data.branch',
        '      operator: equals',
        "      value: '1'",
        'actions:',
        '  - type: create_issue',
        '    with:',
        '      title: |',
        '        Look:',
        '        - ${{ data.branch }}',
        'throttle:',
        '  per: 10m',
        '  limit: 1',
        '  key: ${{ data.host }}',
        '',
      ].join('\n'),
    );
  });

  it.each(NASTY)('is read back as it was: %j', (text) => {
    const definition = titled(text);
    const read = load(yaml(definition));
    expect(JSON.stringify(checkRule(read).definition)).toBe(JSON.stringify(definition));
    expect(checkRule(read).enabled).toBe(true);
  });

  it.each(['yes', 'on', 'No', 'y', '012', '1_000', '12:30:45', '2026-01-01', '0b11', '<<'])(
    'is the same to readers of YAML 1.1: %j',
    (text) => {
      expect(load(yaml(titled(text)), { schema: YAML11_SCHEMA })).toEqual(load(yaml(titled(text))));
    },
  );

  it('keeps the order of keys, numbers, and what later versions of rules add', () => {
    const values = { z: 1e21, a: 1e-7, m: [0.1, -1, 1.5e300], 'b c': { y: null, x: false } };
    const definition = {
      ...saved({ name: 'a', eventType: '*', conditions: { field: 'z', operator: 'equals', value: values } }),
      later: { b: 1, a: 2 },
    };
    expect(JSON.stringify(load(yaml(definition)))).toBe(
      JSON.stringify({
        name: 'a',
        enabled: true,
        eventSource: '*',
        eventType: '*',
        conditions: definition.conditions,
        actions: [],
        later: definition.later,
      }),
    );
  });

  it('is read back whatever its values are', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.string({ unit: anyCharacter }), (value, text) => {
        const definition = { ...titled('x'), description: text, later: JSON.parse(JSON.stringify(value)) as unknown };
        const { later, description } = load(yaml(definition)) as typeof definition;
        expect(JSON.stringify([later, description])).toBe(JSON.stringify([definition.later, text]));
      }),
      { numRuns: 150 },
    );
  });

  it('stands in a stream beside others, whatever their texts hold', () => {
    const stream = NASTY.map((text) => inStream(yaml(titled(text)))).join('');
    expect(stream.match(/^---$/gm)).toHaveLength(NASTY.length);
    expect(loadAll(stream)).toEqual(NASTY.map((text) => load(yaml(titled(text)))));
  });
});
