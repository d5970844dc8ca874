import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { testSteps } from '../../../testing/library.js';
import { failing, MINUTE, played } from '../../../testing/played.js';
import { parseWorkflow } from '../../language/reading/parse-workflow.js';

const call = (id: string, more = '') => `  - { id: ${id}, uses: call, with: { to: ${id} }${more} }`;
const graph = (nodes: readonly string[], edges: readonly string[], more = ''): string =>
  `name: g\nnodes:\n${nodes.join('\n')}\nedges:\n${edges.map((edge) => `  - { ${edge} }`).join('\n')}\n${more}`;
const calls = (story: readonly string[]) =>
  story.filter((line) => line.startsWith('run.step_started')).map((line) => line.split(' ')[1]);
const problems = (yaml: string) => {
  const parsed = parseWorkflow(yaml, testSteps);
  return parsed.ok ? [] : parsed.problems.map(({ line, column, detail }) => `${line}:${column} ${detail}`);
};
const status = (output: number) => () => Promise.resolve({ status: output });

describe('a graph', () => {
  it('joins when all that leads to a step has ended; what is independent runs at the same time', async () => {
    const yaml = graph(
      ['  - { id: slow, wait: { for: 10m } }', '  - { id: quick, wait: { for: 1m } }', call('after'), call('both')],
      ['from: quick, to: after', 'from: after, to: both', 'from: slow, to: both'],
    );
    const { story, elapsed, run } = await played({ yaml });
    expect(run.status).toBe('completed');
    expect(calls(story)).toEqual(['after', 'both']);
    expect(elapsed).toBe(10 * MINUTE);
  });

  it('takes the edges whose condition is true; a join waits for these alone', async () => {
    const yaml = graph(
      [call('ask'), call('ok'), call('bad'), call('worse'), call('end')],
      [
        'from: ask, to: ok, if: steps.ask.output.status == `200`',
        "from: ask, to: bad, if: '!(steps.ask.output.status == `200`)'",
        'from: bad, to: worse',
        'from: ok, to: end',
        'from: worse, to: end',
      ],
      "outputs: { ok: '${{ steps.ok.status }}', worse: '${{ steps.worse.status }}' }\n",
    );
    const good = await played({ yaml, makeAttempt: status(200) });
    expect(calls(good.story)).toEqual(['ask', 'ok', 'end']);
    expect(good.last('workflow.completed')['outputs']).toEqual({ ok: 'completed', worse: 'skipped' });
    expect(calls((await played({ yaml, makeAttempt: status(500) })).story)).toEqual(['ask', 'bad', 'worse', 'end']);
  });

  it('fails with its first failure, unless the step goes on', async () => {
    const makeAttempt = () => Promise.reject(failing());
    const yaml = (more: string) =>
      graph(
        [call('a', more), '  - { id: nap, wait: { for: 1d } }', call('b', ', onError: continue')],
        ['from: a, to: b'],
      );
    const failed = await played({ yaml: yaml(''), makeAttempt });
    expect({ status: failed.run.status, elapsed: failed.elapsed }).toEqual({ status: 'failed', elapsed: 0 });
    const passed = await played({ yaml: yaml(', onError: continue'), makeAttempt });
    expect(passed.run.status).toBe('completed');
    expect(calls(passed.story)).toEqual(['a', 'b']);
  });

  it('may stand inside another step', async () => {
    const yaml = `name: g
steps:
  - forEach: [1, 2]
    steps:
      - graph:
          nodes: [{ id: a, uses: call, with: { to: a } }, { id: b, uses: call, with: { to: b } }]
          edges: [{ from: b, to: a }]
`;
    expect(calls((await played({ yaml })).story).map((path) => path!.slice(-1))).toEqual(['b', 'a', 'b', 'a']);
  });

  it('names the node or the edge that is wrong', () => {
    expect(problems(graph([call('a'), call('b')], ['from: a, to: b', 'from: b, to: a']))).toEqual([
      expect.stringMatching(/^(5|6):.*The edge from "\w" to "\w" closes a cycle: (a → b → a|b → a → b)\./),
    ]);
    expect(problems(graph([call('a')], ['from: a, to: a']))).toEqual([expect.stringContaining('a → a')]);
    expect(problems(graph([call('alpha')], ['from: alpa, to: alpha']))).toEqual([
      expect.stringMatching(/^5:13 There is no node "alpa". Did you mean "alpha"/),
    ]);
    expect(problems(graph([call('a'), call('b')], ['from: a, to: b', 'from: a, to: b']))).toEqual([
      expect.stringMatching(/^7:.*already/),
    ]);
    expect(problems(graph(['  - { uses: call, with: { to: x } }', call('b')], ['from: b, tu: b']))).toEqual([
      expect.stringMatching(/^3:.*must have an "id"/),
      expect.stringMatching(/^6:.*Did you mean "to"/),
    ]);
    expect(problems(`${graph([call('a')], [])}steps: [{ wait: { for: 1s } }]\n`)).toEqual([
      expect.stringMatching(/^2:1 .*not both/),
      expect.stringMatching(/.*/),
    ]);
  });

  it('shows a step those that lead to it, and no others', () => {
    const later = graph(
      [call('a'), "  - { id: b, uses: call, with: { to: '${{ steps.a.status }}' } }"],
      ['from: b, to: a'],
    );
    expect(problems(later)).toEqual([expect.stringMatching(/^4:\d+ The step "a" runs later/)]);
    const edge = graph([call('a'), call('b'), call('c')], ['from: a, to: b, if: steps.c.status']);
    expect(problems(edge)).toEqual([expect.stringMatching(/^7:\d+ The step "c" runs later/)]);
  });

  it('runs each step at most once and never before one that leads to it', async () => {
    const edges = fc.uniqueArray(
      fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 6 })).filter(([from, to]) => from < to),
      { maxLength: 12, selector: String },
    );
    await fc.assert(
      fc.asyncProperty(edges, fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6], { minLength: 7 }), async (list, order) => {
        const yaml = graph(
          order.map((id) => call(`n${id}`)),
          list.map(([from, to]) => `from: n${from}, to: n${to}`),
        ).replace('edges:\n\n', '');
        const { story, run } = await played({ yaml });
        const done = calls(story).map((id) => Number(id!.slice(1)));
        expect(run.status).toBe('completed');
        expect(done.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6]);
        for (const [from, to] of list) expect(done.indexOf(from)).toBeLessThan(done.indexOf(to));
      }),
      { numRuns: 30 },
    );
  });
});
