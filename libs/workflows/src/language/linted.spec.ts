import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { isObject } from '#libs/kernel/src/json.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { testSteps } from '../../testing/library.js';
import { Condition, Template, UsesShape, WorkflowShape } from './fields.js';
import { parseWorkflow } from './reading/parse-workflow.js';

/** A place of the grammar at which an expression stands. */
interface Position {
  readonly name: string;
  readonly isTemplate: boolean;
  /** A workflow with this text there, and the pointer of the place. */
  readonly workflow: (text: string) => object;
  readonly pointer: string;
}

type Path = readonly (string | number)[];
interface Found {
  readonly path: Path;
  readonly isTemplate: boolean;
}

/** Places in a shape whose value is a condition or a text with templates, as the shape itself says. */
function placesIn(schema: unknown, path: Path = []): readonly Found[] {
  if (!isObject(schema)) return [];
  const { expected, properties, items, anyOf, inEditors } = schema;
  if (expected === Condition['expected']) return [{ path, isTemplate: false }];
  if (expected === Template['expected']) return [{ path, isTemplate: true }];
  return [
    ...Object.entries(isObject(properties) ? properties : {}).flatMap(([key, one]) => placesIn(one, [...path, key])),
    ...placesIn(items, [...path, 0]),
    ...((anyOf ?? []) as readonly unknown[]).flatMap((one) => placesIn(one, path)),
    ...placesIn(inEditors, path),
  ];
}

/** The value with another one at a path; lists and objects on the way are made. */
function put(value: unknown, [key, ...rest]: Path, text: unknown): unknown {
  if (key === undefined) return text;
  if (typeof key === 'number') return [put(Array.isArray(value) ? value[0] : undefined, rest, text)];
  const object = isObject(value) ? value : {};
  return { ...object, [key]: put(object[key], rest, text) };
}

const pause = { wait: { for: '1s' } };
const base = { name: 'x', steps: [{ ...pause, id: 'later' }] };

/** What has to stand around an expression, where the reader needs it to find its way. */
const AROUND: Readonly<Record<string, object>> = {
  batch: { size: 2, timeout: '1m' },
  throttle: { limit: 1, per: '1m' },
  debounce: { quiet: '1m' },
  graph: {
    nodes: [
      { ...pause, id: 'a' },
      { ...pause, id: 'b' },
    ],
    edges: [{ from: 'a', to: 'b' }],
  },
};

function positions(): readonly Position[] {
  const at = (name: string, { path, isTemplate }: Found, whole: object, root: Path): Position => ({
    name: `${name}: ${path.join('.')}`,
    isTemplate,
    workflow: (text) => put(whole, [...root, ...path], text) as object,
    pointer: ['', ...root, ...path].join('/'),
  });
  const later = { ...pause, id: 'later' };
  const ofKeywords = testSteps.keywords.flatMap(({ name, shape }) =>
    placesIn(shape).map((found) =>
      at(name, found, { ...base, steps: [{ [name]: AROUND[name] ?? {} }, later] }, ['steps', 0]),
    ),
  );
  const echo = { uses: 'echo', with: { value: 1 } };
  const ofUses = placesIn(UsesShape).map((found) => at('uses', found, { ...base, steps: [echo, later] }, ['steps', 0]));
  const ofNamed = [...testSteps.named.values()].flatMap(({ definition: { name, inputSchema } }) =>
    Object.entries((inputSchema as { properties?: Record<string, { format?: string }> }).properties ?? {}).map(
      ([key, { format }]) =>
        at(
          name,
          { path: ['with', key], isTemplate: format !== 'jmespath' },
          { ...base, steps: [{ uses: name }, later] },
          ['steps', 0],
        ),
    ),
  );
  const ofTriggers = testSteps.triggers.flatMap(({ name, shape }) =>
    placesIn(shape).map((found) => {
      const [key] = found.path;
      const around = AROUND[String(key)];
      const trigger = {
        type: name,
        ...(name === 'event' && { event: 'git.push' }),
        ...(around && { [String(key)]: around }),
      };
      return at(name, found, { ...base, triggers: [trigger] }, ['triggers', 0]);
    }),
  );
  const ofWorkflow = placesIn(WorkflowShape)
    // Written as an object, it is read as the steps of one.
    .filter(({ path }) => path[0] !== 'edges')
    .map((found) => at('workflow', found, base, []));
  const outputs = at('workflow', { path: ['outputs', 'a'], isTemplate: true }, base, []);
  return [...ofKeywords, ...ofUses, ...ofNamed, ...ofTriggers, ...ofWorkflow, outputs];
}

const all = positions();

describe('every place of the grammar at which an expression stands', () => {
  it('is found, whatever kinds there are', () => {
    const names = all.map(({ name }) => name);
    for (const name of [
      'switch: switch.0.if',
      'while: while.condition',
      'forEach: forEach',
      'forEach: until',
      'wait: wait.for',
      'waitForEvent: waitForEvent.when',
      'uses: if',
      'uses: retry.when',
      'compute: with.expression',
      'event: when',
      'workflow: concurrency.key',
      'workflow: outputs.a',
    ])
      expect(names).toContain(name);
    expect(new Set(names).size).toBeGreaterThan(50);
  });

  const wrong = fc.constantFrom('nonsense', 'itm.name', 'steps.later.output', 'steps.nobody.output', 'item.name');
  const around = fc.constantFrom(
    (one: string) => one,
    (one: string) => `length(${one})`,
    (one: string) => `[${one}]`,
    (one: string) => `'x' == ${one}`,
    (one: string) => `(${one}) || \`true\``,
  );

  it('names what is not in scope there, with its line and column', () => {
    fc.assert(
      fc.property(fc.constantFrom(...all), wrong, around, (position, name, wrap) => {
        // Steps inside a loop see its item, and what follows a step sees the step.
        const isSeen =
          (name.startsWith('item') && /^(forEach: until|while)/.test(position.name)) ||
          (name.startsWith('steps.later') && position.name.startsWith('workflow: outputs'));
        if (isSeen) return;
        const expression = wrap(name);
        const source = stringifyJson(position.workflow(position.isTemplate ? `\${{ ${expression} }}` : expression));
        const parsed = parseWorkflow(source, testSteps);
        const found = parsed.ok ? [] : parsed.problems.filter(({ pointer }) => pointer === position.pointer);
        const codes = found.map(({ code }) => code);
        expect(codes).toContainEqual(expect.stringMatching(/^workflow\.unknown_(name|step)$/));
        for (const { line, column } of found) expect([line, column > 1]).toEqual([1, true]);
      }),
      { numRuns: 200 },
    );
  });

  it('warns of a negation that binds too early, at the place in the text', () => {
    let warned = 0;
    for (const position of all) {
      const expression = '!run.workflow';
      const source = stringifyJson(position.workflow(position.isTemplate ? `\${{ ${expression} }}` : expression));
      const parsed = parseWorkflow(source, testSteps);
      if (!parsed.ok) continue;
      const found = parsed.warnings().find(({ pointer }) => pointer === position.pointer);
      expect(found).toMatchObject({ code: 'expression.not_binding', line: 1 });
      expect(source.slice(found!.column - 1)).toMatch(/^!run/);
      warned += 1;
    }
    expect(warned).toBeGreaterThan(10);
  });
});
