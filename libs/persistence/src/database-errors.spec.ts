import { describe, expect, test } from '@jest/globals';

import { Transient } from '#libs/kernel/src/errors.js';

import { databaseError, inDatabase } from './database-errors.js';

const failure = (more: object, message = 'no'): Error => Object.assign(new Error(message), more);

describe('passing', () => {
  test.each([
    ['a lost connection', failure({ code: '08006' })],
    ['too many connections', failure({ code: '53300' })],
    ['a full disk', failure({ code: '53100' })],
    ['a server that stops', failure({ code: '57P01' })],
    ['a server that starts', failure({ code: '57P03' })],
    ['a deadlock', failure({ code: '40P01' })],
    ['a standby after a failover', failure({ code: '25006' })],
    ['a transaction that was idle for too long', failure({ code: '25P03' })],
    ['a refused connection', failure({ code: 'ECONNREFUSED' })],
    ['a socket that is not there', failure({ code: 'ENOENT', syscall: 'connect' })],
    ['words of pg without a code', failure({}, 'Connection terminated unexpectedly')],
    ['a statement without an answer', failure({}, 'Query read timeout')],
    ['what TypeORM has wrapped', failure({ driverError: failure({ code: '08006' }) })],
  ])('is %s', (_, error) => {
    expect(databaseError(error)).toMatchObject({ name: 'Transient', code: 'database.unavailable', cause: error });
  });
});

describe('not passing, and left as it is,', () => {
  test.each([
    ['a unique violation', failure({ code: '23505' })],
    ['a syntax error', failure({ code: '42601' })],
    ['a file that is not there', failure({ code: 'ENOENT', syscall: 'open' })],
    ['a bug', new TypeError('x is not a function')],
    ['what is no error', 'text'],
    ['nothing', undefined],
  ])('is %s', (_, error) => {
    expect(databaseError(error)).toBe(error);
  });
});

test('a passing error is not wrapped twice', async () => {
  const known = new Transient('elsewhere.away', 'away');
  expect(databaseError(known)).toBe(known);
  await expect(inDatabase(() => Promise.reject(failure({ code: '08006' })))).rejects.toBeInstanceOf(Transient);
  await expect(inDatabase(() => Promise.resolve(1))).resolves.toBe(1);
});
