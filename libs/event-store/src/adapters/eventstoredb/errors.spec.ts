import { describe, expect, test } from '@jest/globals';

import { classify, LostCall, unavailable } from './errors.adapter.js';
import { pauseAfter } from './pause.js';

const withCode = (code: number | string, message = 'x'): Error => Object.assign(new Error(message), { code });
const metadata = (exception: string) => ({ get: (key: string) => (key === 'exception' ? [exception] : []) });

describe('what a failed call means', () => {
  test.each([
    ['unavailable', withCode(14)],
    ['cancelled by the server', withCode(1)],
    ['a stream reset', withCode(13, 'Received RST_STREAM with code 2')],
    ['refused by the operating system', withCode('ECONNREFUSED')],
    ['gossip that found nobody', new Error('Failed to discover after 10 attempts.')],
    ['a closed channel', withCode(2, 'write after end')],
    ['silence', new LostCall('silence', 'no answer')],
  ])('%s: try again over a new connection', (_, error) => {
    expect(classify(error)).toMatchObject({ kind: 'retry', reconnect: true });
  });

  test.each([
    ['a node that starts', new Error('Server Is Not Ready')],
    ['a node that is overrun', new Error('Server Is Busy')],
    ['the same as a status', withCode(14, '14 UNAVAILABLE: Server Is Too Busy')],
    ['an election', withCode(2, '2 UNKNOWN: No leader info available in response')],
    ['a time-out of the server', withCode(10, 'Operation timed out')],
    ['a deadline', withCode(4)],
    ['a node that is not the leader', Object.assign(withCode(5), { metadata: metadata('not-leader') })],
    ['a connection that was replaced', new LostCall('replaced', 'x')],
    ['one answer missing among others', new LostCall('unanswered', 'x')],
  ])('%s: try again over the same connection', (_, error) => {
    expect(classify(error)).toMatchObject({ kind: 'retry', reconnect: false });
  });

  test.each([
    ['a bug', new TypeError('x is not a function')],
    ['an invalid argument', withCode(3)],
    ['an unknown error', withCode(2, 'Envelope callback expected something else')],
    ['something that is no error', 'text'],
  ])('%s: no retry helps', (_, error) => {
    expect(classify(error)).toMatchObject({ kind: 'fatal', error: expect.any(Error) });
  });

  test.each([7, 16])('code %i names the credentials, without repeating them', (code) => {
    const failure = classify(withCode(code, 'user:secret'));
    expect(failure).toMatchObject({ kind: 'fatal' });
    expect(failure.kind === 'fatal' && failure.error.message).toMatch(/credentials of EVENTSTORE_URL/);
    expect(failure.kind === 'fatal' && failure.error.message).not.toContain('secret');
  });

  test('an unreachable server is passing, and the message says what to check', () => {
    expect(unavailable('14 UNAVAILABLE')).toMatchObject({ code: 'log.unavailable' });
    expect(unavailable('14 UNAVAILABLE').message).toContain('EVENTSTORE_URL');
  });
});

describe('the pause after failures', () => {
  test('doubles from 50 ms to a second, and its jitter never takes more than half of it', () => {
    const longest = [1, 2, 3, 4, 5, 6, 7, 50].map((failures) => pauseAfter(failures, 1));
    expect(longest).toEqual([50, 100, 200, 400, 800, 1000, 1000, 1000]);
    expect(pauseAfter(3, 0)).toBe(100);
  });
});
