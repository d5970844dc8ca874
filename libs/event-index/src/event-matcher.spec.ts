import { describe, expect, it } from '@jest/globals';

import { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent, RawJson } from '#libs/event-store/src/new-event.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { matcherOf, questionOf } from './event-matcher.js';
import type { EventQuery } from './event-query.js';

const query = (more: Partial<EventQuery>): EventQuery => ({
  orgId: 'org_a',
  types: [],
  order: 'asc',
  limit: Infinity,
  ...more,
});
const recorded = (data: string, actor = 'token/tok_1') => {
  const { id, type, ...raw } = newEvent(
    { type: 'release.published', data: new RawJson(data) },
    { id: uuid7(), orgId: 'org_a', actor, now: new Date(0) },
  );
  return new RecordedEvent('s', 0n, 1n, id, type, new Date(0), raw.data, raw.metadata);
};

describe('the question about one event', () => {
  it('is none where the index answers everything', () => {
    expect(questionOf(query({ source: 'github' }))).toBeUndefined();
  });

  it.each([
    [['timeout'], true],
    [['timeout', 'payment'], true],
    [['time', 'no. 7'], true],
    [['error'], false],
    // The name of a field and a number are no texts.
    [['message'], false],
    [['12345678901234567890'], false],
  ])('finds the words %j in texts of the data: %s', (words, found) => {
    const event = recorded(
      '{"message":"TIMEOUT of a call","list":[{"deep":"Payment no. 7"}],"n":12345678901234567890,"nothing":null}',
    );
    expect(matcherOf(query({ words }))(event)).toBe(found);
  });

  it.each([
    ['token/tok_1', true],
    ['token/*', true],
    ['integration/*', false],
  ])('compares who caused it with %s: %s', (actor, found) => {
    expect(matcherOf(query({ actor }))(recorded('{}'))).toBe(found);
  });

  it('is no for what cannot be read', () => {
    const broken = new RecordedEvent('s', 0n, 1n, uuid7(), 'release.published', new Date(0), 'no JSON', '{}');
    expect(matcherOf(query({}))(broken)).toBe(false);
  });
});
