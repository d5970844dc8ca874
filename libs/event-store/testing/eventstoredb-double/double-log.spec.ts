import { describe, expect, test } from '@jest/globals';

import { DoubleLog, type ProposedEvent } from './double-log.js';

const proposed = (id: string): ProposedEvent => ({
  id,
  type: 'thing.happened',
  json: true,
  data: Buffer.from('{}'),
  metadata: Buffer.from('{}'),
});
const events = (...ids: string[]): ProposedEvent[] => ids.map(proposed);

describe("the double's log, as the server keeps it", () => {
  test('gives increasing positions with gaps, and those of one append share their transaction', () => {
    const log = new DoubleLog();
    log.append('a', events('1', '2'), 'no-stream');
    log.append('b', events('3'), 'no-stream');
    const [first, second, third] = log.all.slice(-3);
    expect(second!.position - first!.position).toBeGreaterThan(1n);
    expect(third!.position).toBeGreaterThan(second!.position);
    expect([first!.transaction, second!.transaction, third!.transaction]).toEqual([
      first!.position,
      first!.position,
      third!.position,
    ]);
  });

  test('has events of its own from the start', () => {
    expect(new DoubleLog().all.every(({ stream }) => stream.startsWith('$'))).toBe(true);
    expect(new DoubleLog().all.length).toBeGreaterThan(0);
  });

  test('refuses what is not at the expected revision, and says where the stream is', () => {
    const log = new DoubleLog();
    expect(log.append('a', events('1'), 0n)).toEqual({ kind: 'wrong', current: undefined });
    expect(log.append('a', events('1'), 'stream-exists')).toEqual({ kind: 'wrong', current: undefined });
    log.append('a', events('1', '2'), 'no-stream');
    expect(log.append('a', events('x'), 'no-stream')).toEqual({ kind: 'wrong', current: 1n });
    expect(log.append('a', events('x'), 0n)).toEqual({ kind: 'wrong', current: 1n });
    expect(log.append('a', events('x'), 2n)).toEqual({ kind: 'wrong', current: 1n });
    expect(log.append('a', events('x'), 1n)).toMatchObject({ kind: 'stored', revision: 2n });
  });

  test('recognises a repeated append by revision for ever, also after a restart', () => {
    const log = new DoubleLog();
    const first = log.append('a', events('1', '2'), 'no-stream');
    log.append('a', events('3'), 1n);
    log.forgetIds();
    expect(log.append('a', events('1', '2'), 'no-stream')).toEqual({ ...first, kind: 'idempotent' });
    expect(log.append('a', events('1'), 'no-stream')).toMatchObject({ kind: 'idempotent', revision: 0n });
    expect(log.append('a', events('1', 'x'), 'no-stream')).toEqual({ kind: 'wrong', current: 2n });
    expect(log.append('a', events('1', '2', '3', '4'), 'no-stream')).toEqual({ kind: 'wrong', current: 2n });
  });

  test('recognises one without a revision by its cache, until it restarts', () => {
    const log = new DoubleLog();
    const first = log.append('a', events('1'), 'any');
    log.append('a', events('2'), 'any');
    expect(log.append('a', events('1'), 'any')).toEqual({ ...first, kind: 'idempotent' });
    log.forgetIds();
    expect(log.append('a', events('1'), 'any')).toMatchObject({ kind: 'stored', revision: 2n });
  });

  test('hides what a stream boundary hides from the stream, not from $all, nor does it know its place any more', () => {
    const log = new DoubleLog();
    log.append('a', events('1', '2', '3'), 'no-stream');
    log.append('$$a', [{ ...proposed('m'), type: '$metadata', data: Buffer.from('{"$tb":2}') }], 'any');
    expect(log.stream('a')!.map(({ id }) => id)).toEqual(['3']);
    expect(log.all.filter(({ stream }) => stream === 'a')).toHaveLength(3);
    expect(log.append('a', events('1'), 'no-stream')).toEqual({
      kind: 'idempotent',
      revision: 0n,
      position: undefined,
    });
    expect(log.append('a', events('4'), 2n)).toMatchObject({ kind: 'stored', revision: 3n });
  });
});
