import { describe, expect, test } from '@jest/globals';

import { Rejected } from '#libs/kernel/src/errors.js';

import { explained, fileProblem } from './postgres-folder.adapter.js';

describe('what PostgreSQL says when it does not start is passed on with what to do:', () => {
  test.each([
    ['FATAL: could not write to file: No space left on device', 'The disk is full'],
    ['DETAIL: The data directory was initialized by PostgreSQL version 17', 'another major version'],
    ['FATAL: could not open file: Permission denied', 'Check who owns MILLRACE_DATA_DIR'],
    ['FATAL: could not create shared memory segment', 'too little shared memory'],
    ['FATAL: the moon is full', 'set DATABASE_URL'],
  ])('%s', (output, advice) => {
    const problem = explained('It does not start', output);
    expect(problem).toMatchObject({ code: 'postgres.cannot_start' });
    expect(problem.message).toContain(advice);
    expect(problem.message).toContain(output);
  });
});

describe('what the file system refuses', () => {
  test.each([
    ['EACCES', 'another user'],
    ['EROFS', 'read-only'],
    ['ENOSPC', 'disk is full'],
    ['ENOTEMPTY', 'not a database'],
    ['EIO', 'Check MILLRACE_DATA_DIR'],
  ])('is said with what to do: %s', (code, advice) => {
    const problem = fileProblem(Object.assign(new Error(`${code}: no`), { code, syscall: 'mkdir' }), '/data');
    expect(problem).toMatchObject({ code: 'data_dir.unusable' });
    expect((problem as Error).message).toContain(advice);
    expect((problem as Error).message).toContain('/data');
  });

  test('is told from other errors, which stay as they are', () => {
    for (const error of [new TypeError('bug'), new Rejected('conflict', 'data_dir.in_use', 'in use')])
      expect(fileProblem(error, '/data')).toBe(error);
  });
});
