import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { testSteps } from '../../../testing/library.js';
import { parseWorkflow } from '../../language/reading/parse-workflow.js';
import { lineDiff } from './line-diff.js';
import { stepDiff } from './step-diff.js';
import { graphOf } from './workflow-graph.js';

function definitionOf(yaml: string) {
  const parsed = parseWorkflow(yaml, testSteps);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.definition;
}
const echo = (id: string, value: string | number = 1) => `{ id: ${id}, uses: echo, with: { value: ${value} } }`;

describe('the graph of a version', () => {
  it('has a node for each step and an edge for what follows, also inside', () => {
    const { nodes, edges } = graphOf(
      definitionOf(`name: x
steps:
  - ${echo('a')}
  - id: choose
    switch: [{ if: "\`true\`", steps: [${echo('b')}, ${echo('c')}] }, { else: true, steps: [${echo('d')}] }]
  - { id: each, forEach: [1], if: "\`true\`", steps: [${echo('e')}] }
onFailure: [${echo('told')}]
`),
    );
    expect(nodes.map(({ id, kind, part, inside }) => [id, kind, part, inside])).toEqual([
      ['a', 'echo', 'steps', undefined],
      ['choose', 'switch', 'steps', undefined],
      ['b', 'echo', 'steps', 'choose'],
      ['c', 'echo', 'steps', 'choose'],
      ['d', 'echo', 'steps', 'choose'],
      ['each', 'forEach', 'steps', undefined],
      ['e', 'echo', 'steps', 'each'],
      ['told', 'echo', 'onFailure', undefined],
    ]);
    expect(nodes.find(({ id }) => id === 'each')).toMatchObject({ if: '`true`' });
    expect(edges.map(({ from, to, kind, label }) => [from, to, kind, label])).toEqual([
      ['a', 'choose', 'next', undefined],
      ['choose', 'each', 'next', undefined],
      ['b', 'c', 'next', undefined],
      ['choose', 'b', 'inside', '`true`'],
      ['choose', 'd', 'inside', 'else'],
      ['each', 'e', 'inside', 'each item'],
    ]);
  });

  it('has the edges of nodes as they are written', () => {
    const { edges } = graphOf(
      definitionOf(`name: x
nodes: [${echo('a')}, ${echo('b')}, ${echo('c')}]
edges: [{ from: a, to: b, if: "steps.a.output == \`1\`" }, { from: a, to: c }]
`),
    );
    expect(edges).toEqual([
      { from: 'a', to: 'b', kind: 'next', label: 'steps.a.output == `1`' },
      { from: 'a', to: 'c', kind: 'next' },
    ]);
  });
});

describe('two versions', () => {
  it('differ in steps that were added, removed and changed', () => {
    const looped = (inside: string, concurrency: number) =>
      `{ id: each, forEach: [1], concurrency: ${concurrency}, steps: [${inside}] }`;
    const before = definitionOf(`name: x\nsteps: [${echo('a')}, ${looped(echo('in'), 1)}, ${echo('gone')}]\n`);
    const after = definitionOf(`name: x\nsteps: [${looped(echo('in', 2), 1)}, ${echo('a')}, ${echo('new')}]\n`);
    expect(stepDiff(before, after)).toEqual({
      added: ['new'],
      removed: ['gone'],
      changed: [{ id: 'in', keys: ['with'] }],
    });
    const other = definitionOf(`name: x\nsteps: [${looped(echo('in'), 2)}]\n`);
    expect(stepDiff(before, other).changed).toEqual([{ id: 'each', keys: ['concurrency'] }]);
  });

  it('differ in lines: what stays, leaves and comes tells both texts', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(text, text, (a, b) => {
        const lines = lineDiff(a.join('\n'), b.join('\n'));
        expect(lines.filter(({ kind }) => kind !== 'added').map((line) => line.text)).toEqual(a);
        expect(lines.filter(({ kind }) => kind !== 'removed').map((line) => line.text)).toEqual(b);
        for (const { text: shown, from, to } of lines) {
          if (from !== undefined) expect(a[from - 1]).toBe(shown);
          if (to !== undefined) expect(b[to - 1]).toBe(shown);
        }
      }),
    );
    expect(lineDiff('a\nb\nc\n', 'a\nx\nc\n').map(({ kind, text: shown }) => `${kind} ${shown}`)).toEqual([
      'same a',
      'removed b',
      'added x',
      'same c',
    ]);
  });

  it('are shown as replaced where they are too long to compare', () => {
    const many = (of: string) => Array.from({ length: 2_500 }, (_, i) => `${of}${i}`).join('\n');
    const lines = lineDiff(`same\n${many('a')}`, `same\n${many('b')}`);
    expect(lines).toHaveLength(5_001);
    expect(lines[0]).toMatchObject({ kind: 'same' });
  });
});
