import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { MAX_DURATION_MS, tryParseDuration } from '#libs/kernel/src/time/durations.js';
import { EARLIEST, LATEST } from '#libs/kernel/src/time/times.js';

import { testSteps } from '../../testing/library.js';
import { failing, played } from '../../testing/played.js';
import { parseWorkflow } from '../language/reading/parse-workflow.js';

const NOW = Date.parse('2026-01-01T00:00:00.000Z');

/** Durations as people and templates write them: small ones, those at the limits, and those far beyond. */
const duration = fc
  .tuple(
    fc.oneof(
      fc.nat(400),
      fc.constantFrom(366, 367, 8784, 8785, 527_040, 31_622_400, 31_622_400_000, 31_622_400_001),
      fc.maxSafeNat(),
      fc.constantFrom('300000000', '3000000', '9'.repeat(12), '9'.repeat(30), '0'.repeat(9) + '1', '-1', '1.5', '1e9'),
    ),
    fc.constantFrom('ms', 's', 'm', 'h', 'd', 'w', ''),
  )
  .map(([amount, unit]) => `${amount}${unit}`);

const time = fc.oneof(
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.date({ min: new Date(EARLIEST), max: new Date(LATEST), noInvalidDate: true }).map((date) => date.toISOString()),
  fc.constantFrom(
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00+14:00',
    '9999-12-31T23:59:59.999Z',
    '9999-12-31T23:59:59-10:00',
    '10000-01-01T00:00:00Z',
    '+275760-09-13T00:00:00.000Z',
    '2026-02-30T00:00:00Z',
    '2026-12-31T23:59:60Z',
    'soon',
  ),
);

/** Whatever was recorded must be a time that every store can hold. */
function expectStorable(data: unknown): void {
  for (const key of ['at', 'until', 'retryAt'] as const) {
    const text = (data as Record<string, unknown>)[key];
    if (typeof text !== 'string') continue;
    expect(text).toMatch(/^\d{4}-\d\d-\d\dT/);
    expect(Date.parse(text)).toBeLessThanOrEqual(LATEST);
  }
}

async function run(yaml: string, more: Partial<Parameters<typeof played>[0]> = {}) {
  const result = await played({ yaml, ...more });
  for (const { data } of result.events) expectStorable(data);
  return result;
}

const isRefused = (yaml: string, pointer: string): boolean => {
  const parsed = parseWorkflow(yaml, testSteps);
  if (!parsed.ok) expect(parsed.problems.map((problem) => problem.pointer)).toEqual([pointer]);
  return !parsed.ok;
};

describe('a duration at any extreme', () => {
  it('is refused, or waited for, as a literal and from a template', () =>
    fc.assert(
      fc.asyncProperty(duration, async (text) => {
        const milliseconds = tryParseDuration(text);
        const literal = `{ name: x, steps: [{ wait: { for: "${text}" } }] }`;
        expect(isRefused(literal, '/steps/0/wait/for')).toBe(milliseconds === undefined);
        if (milliseconds !== undefined) expect((await run(literal)).elapsed).toBe(milliseconds);

        const template = '{ name: x, steps: [{ id: w, wait: { for: "${{ inputs.d }}" } }] }';
        const { run: end, elapsed, last } = await run(template, { inputs: { d: text } });
        if (milliseconds === undefined) {
          expect(last('workflow.failed')['error']).toMatchObject({ code: 'wait.bad_time', path: 'w' });
          expect((last('workflow.failed')['error'] as { message: string }).message).toContain('at most 366d');
        } else expect({ status: end.status, elapsed }).toEqual({ status: 'completed', elapsed: milliseconds });
      }),
    ));

  it('is refused, or the pause between attempts', () =>
    fc.assert(
      fc.asyncProperty(duration, fc.constantFrom('delay', 'maxDelay'), async (text, key) => {
        const yaml = `{ name: x, steps: [{ uses: call, with: { to: x }, retry: { maxAttempts: 3, jitter: false, ${key}: "${text}" } }] }`;
        if (isRefused(yaml, `/steps/0/retry/${key}`)) return;
        let attempts = 0;
        const { elapsed } = await run(yaml, { makeAttempt: () => (attempts++, Promise.reject(failing())) });
        expect(attempts).toBe(3);
        expect(elapsed).toBeLessThanOrEqual(2 * MAX_DURATION_MS);
      }),
    ));

  it('is refused, or the limit of a step, of an attempt and of a run', () =>
    fc.assert(
      fc.asyncProperty(duration, async (text) => {
        const run1 = `{ name: x, timeout: "${text}", steps: [{ wait: { for: 1ms } }] }`;
        const step = `{ name: x, steps: [{ wait: { for: 1ms }, timeout: "${text}" }] }`;
        const attempt = `{ name: x, steps: [{ uses: call, with: { to: x }, timeout: "${text}" }] }`;
        const milliseconds = tryParseDuration(text);
        expect(isRefused(run1, '/timeout')).toBe(milliseconds === undefined);
        expect(isRefused(step, '/steps/0/timeout')).toBe(milliseconds === undefined);
        expect(isRefused(attempt, '/steps/0/timeout')).toBe(milliseconds === undefined);
        if (milliseconds === undefined || milliseconds <= 1) return;
        for (const yaml of [run1, step, attempt]) expect((await run(yaml)).run.status).toBe('completed');
      }),
    ));

  it('is refused, or the time until the next attempt of a delivery', () =>
    fc.assert(
      fc.asyncProperty(duration, async (text) => {
        const step = (after: string) =>
          `{ name: x, steps: [{ id: r, uses: redeliver_webhook, with: { delivery: "del_${'a'.repeat(26)}", after: "${after}" } }] }`;
        const milliseconds = tryParseDuration(text);
        expect(isRefused(step(text), '/steps/0/with/after')).toBe(milliseconds === undefined);
        const { events, last } = await run(step('${{ inputs.d }}'), { inputs: { d: text } });
        const asked = events.find((event) => event.is('webhook.redelivery_requested'));
        if (milliseconds === undefined) {
          expect(asked).toBeUndefined();
          expect(last('workflow.failed')['error']).toMatchObject({ code: 'step.bad_input' });
        } else expect(asked?.data).toMatchObject({ afterMs: milliseconds });
      }),
    ));
});

describe('a time at any extreme', () => {
  it('is refused, or waited for, as a literal and from a template', () =>
    fc.assert(
      fc.asyncProperty(time, async (text) => {
        const at = Date.parse(text);
        const literal = `{ name: x, steps: [{ wait: { until: "${text}" } }] }`;
        const refused = isRefused(literal, '/steps/0/wait/until');
        if (!refused) expect(at >= EARLIEST && at <= LATEST).toBe(true);
        const template = '{ name: x, steps: [{ wait: { until: "${{ inputs.t }}" } }] }';
        const { elapsed, last } = await run(template, { inputs: { t: text } });
        if (refused) expect(last('workflow.failed')['error']).toMatchObject({ code: 'wait.bad_time' });
        else expect(elapsed).toBe(Math.max(0, at - NOW));
      }),
    ));
});

describe('a pause that a step asks for', () => {
  it('is at most a day, and none if it is not a number of seconds', () =>
    fc.assert(
      fc.asyncProperty(fc.oneof(fc.double(), fc.integer()), async (retryAfter) => {
        const yaml =
          '{ name: x, steps: [{ uses: call, with: { to: x }, retry: { maxAttempts: 2, delay: 1s, jitter: false } }] }';
        const { elapsed } = await run(yaml, { makeAttempt: () => Promise.reject(failing({ retryAfter })) });
        expect(elapsed).toBeGreaterThanOrEqual(1_000);
        expect(elapsed).toBeLessThanOrEqual(86_400_000);
      }),
    ));
});
