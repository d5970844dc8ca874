import { describe, expect, it } from '@jest/globals';

import type { FollowerStatus } from '#libs/event-store/src/runner/follower-status.js';

import { lagOf, readinessOf } from './readiness.js';

const follower = (more: Partial<FollowerStatus>): FollowerStatus => ({
  name: 'rules.decide',
  kind: 'subscriber',
  active: true,
  state: 'live',
  position: 10n,
  head: 10n,
  lagSeconds: 0,
  parked: 0,
  ...more,
});

describe('a server is ready', () => {
  it('when log, database and everything that follows the log are well', () => {
    expect(readinessOf([follower({}), follower({ name: 't', kind: 'table' })], [])).toMatchObject({
      status: 'ready',
      reasons: [],
    });
  });

  it('also while a subscriber is behind: it does what it can', () => {
    expect(readinessOf([follower({ state: 'catching_up', position: 1n, lagSeconds: 60 })], []).status).toBe('ready');
  });

  it('also while another process is the active one', () => {
    expect(readinessOf([follower({ active: false, state: 'waiting', lagSeconds: 99 })], []).status).toBe('ready');
  });
});

describe('a server is not ready, and says why,', () => {
  it('when log or database do not answer', () => {
    const failure = { what: 'the log does not answer', detail: 'the log does not answer: refused' };
    expect(readinessOf([follower({})], [failure])).toMatchObject({
      status: 'not_ready',
      reasons: ['the log does not answer: refused'],
      publicReasons: ['the log does not answer'],
    });
  });

  it.each([
    ['is disconnected from the log', { state: 'disconnected', reason: 'connection reset' }],
    ['is stuck', { state: 'retrying', lagSeconds: 20, reason: 'no such table' }],
    ['has stopped', { state: 'stopped' }],
  ] as const)('when a subscriber %s', (words, more) => {
    const { status, reasons, publicReasons } = readinessOf([follower(more)], []);
    expect(status).toBe('not_ready');
    expect(reasons[0]).toContain(`rules.decide ${words}`);
    if ('reason' in more) expect(reasons[0]).toContain(more.reason);
    expect(publicReasons).toEqual([`a subscriber ${words}`]);
  });

  it('when a table could not process an event', () => {
    const { status, reasons, publicReasons } = readinessOf(
      [follower({ name: 'intake.integrations', kind: 'table', state: 'incomplete' })],
      [],
    );
    expect(status).toBe('not_ready');
    expect(reasons[0]).toContain('the table intake.integrations could not process an event');
    expect(publicReasons).toEqual(['a table could not process an event']);
  });

  it('but not for a first failure that a retry may mend', () => {
    expect(readinessOf([follower({ state: 'retrying', lagSeconds: 1 })], []).status).toBe('ready');
  });
});

describe('lag', () => {
  it.each([
    [-1n, 0n, 0],
    [-1n, 5n, 5],
    [3n, 5n, 2],
    [5n, 5n, 0],
    [6n, 5n, 0],
  ])('of a follower at %s of a log that ends at %s is %i', (position, head, lag) => {
    expect(lagOf(position, head)).toBe(lag);
  });
});
