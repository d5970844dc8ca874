import { describe, expect, it } from '@jest/globals';

import { testSteps } from '../../testing/library.js';
import { parseWorkflow } from '../language/reading/parse-workflow.js';
import { savedVocabulary } from '../language/vocabulary.js';
import { isSchedule } from './schedule.trigger.js';

const parsed = (fields: string, step = '"${{ event.data.at }}"') =>
  parseWorkflow(
    `name: x\ntriggers:\n  - { type: schedule, ${fields} }\nsteps: [{ id: one, uses: echo, with: { value: ${step} } }]\n`,
    testSteps,
  );
const problems = (fields: string) => {
  const found = parsed(fields);
  return found.ok ? [] : found.problems.map(({ line, column, detail }) => `${line}:${column} ${detail}`);
};

describe('a schedule trigger', () => {
  it('is named by its times', () => {
    const found = parsed('cron: "0  9 * * 1-5", timezone: Europe/Berlin, catchup: all, catchupWindow: 2h, jitter: 30s');
    const [trigger] = found.ok ? found.definition.triggers : [];
    expect(trigger && isSchedule(trigger) && trigger).toMatchObject({
      key: '0 9 * * 1-5 Europe/Berlin',
      schedule: { catchup: 'all', catchupWindowMs: 7_200_000, jitterMs: 30_000 },
    });
  });

  it('puts its tick into scope', () => {
    const found = parsed('every: 15m', '"${{ event.data.when }}"');
    expect(found.ok && found.warnings()).toMatchObject([{ code: 'expression.unknown_field' }]);
    const right = parsed('every: 15m');
    expect(right.ok && right.warnings()).toEqual([]);
  });

  it.each([
    ['cron: "0 0 31 2 *"', '3:29 "0 0 31 2 *" never fires'],
    ['cron: "0 9 * *"', '3:29 A cron must have five fields'],
    ['cron: "0 9 * * *", timezone: Europe/Berln', '3:52 There is no time zone "Europe/Berln"'],
    ['cron: "0 9 * * *", every: 15m', '3:5 A schedule must have either "cron" or "every"'],
    ['catchup: last', '3:5 A schedule must have either "cron" or "every"'],
    ['every: 15m, timezone: UTC', '3:35 "timezone" goes with "cron" only'],
    ['every: 100ms', '3:30 "every" must be at least 1s'],
    ['every: 15m, jitter: 16m', '3:43 "jitter" must be at most 15m'],
    ['cron: "0 9,10 * * 1", jitter: 61m', '3:53 "jitter" must be at most 1h'],
    ['cron: "59 23 31 * *", jitter: 366d', '3:53 "jitter" must be at most 31d'],
  ])('with %s is refused at its place', (fields, expected) => {
    expect(problems(fields)).toEqual([expect.stringContaining(expected)]);
  });

  it('may have a jitter as long as its interval', () => {
    for (const fields of ['every: 15m, jitter: 15m', 'cron: "*/7 * * * *", jitter: 4m'])
      expect(problems(fields)).toEqual([]);
  });

  it('with a jitter that an earlier version allowed goes on', () => {
    const text = 'name: x\ntriggers: [{ type: schedule, every: 1m, jitter: 1h }]\nsteps: [{ wait: { for: 1s } }]\n';
    expect(parseWorkflow(text, savedVocabulary(testSteps)).ok).toBe(true);
  });

  it('does not have the same times twice', () => {
    const twice = parseWorkflow(
      'name: x\ntriggers:\n  - { type: schedule, every: 1h }\n  - { type: schedule, every: 60m }\nsteps: [{ wait: { for: 1s } }]\n',
      testSteps,
    );
    expect(twice.ok ? [] : twice.problems).toMatchObject([{ line: 4, detail: expect.stringContaining('every 1h') }]);
  });
});
