import { describe, expect, test } from '@jest/globals';

import { Transient } from '#libs/kernel/src/errors.js';

import { isPassing, unavailable } from './unavailable.js';

const answer = (code: string): Error => Object.assign(new Error('x'), { severity: 'ERROR', code });
const socket = (code: string): Error => Object.assign(new Error('x'), { code });

describe('whether a failure passes', () => {
  test.each([
    ['a refused connection', socket('ECONNREFUSED')],
    ['a broken pipe, whose code looks like a SQLSTATE', socket('EPIPE')],
    ['a connection that was terminated', new Error('Connection terminated unexpectedly')],
    ['a read that timed out', new Error('Query read timeout')],
    ['a server that shuts down', answer('57P01')],
    ['a server that starts up', answer('57P03')],
    ['a statement that was cancelled', answer('57014')],
    ['a full disk', answer('53100')],
    ['too many connections', answer('53300')],
    ['a serialisation failure', answer('40001')],
    ['an I/O error', answer('58030')],
    ['a standby that only reads', answer('25006')],
  ])('%s does', (_, error) => expect(isPassing(error)).toBe(true));

  test.each([
    ['a constraint', answer('23505')],
    ['a syntax error', answer('42601')],
    ['a missing table', answer('42P01')],
    ['a wrong password', answer('28P01')],
    ['malformed text', answer('22021')],
    ['a mistake in this program', new TypeError('x is not a function')],
  ])('%s does not', (_, error) => expect(isPassing(error)).toBe(false));

  test('is told to callers by a code, with the cause beside it', () => {
    const cause = socket('ECONNREFUSED');
    expect(unavailable(cause)).toMatchObject({ name: 'Transient', code: 'log.unavailable', cause });
    const told = new Transient('log.closed', 'closed');
    expect(unavailable(told)).toBe(told);
  });
});
