import { Type } from '@sinclair/typebox';

import { defineEvent } from '../../define-event.js';
import { RequestedBy } from './requested-by.js';

const requestedBy = { kind: 'rule', ruleId: 'rul_01jq5x1d0wkz4s3v2n8m7b6c5a', ruleVersion: 1, index: 0 } as const;
const eventId = 'evt_01jq5x1d0wkz4s3v2n8m7b6c5a';
const integrationId = 'int_01jq5x1d0wkz4s3v2n8m7b6c5a';
const requestId = Type.String({ description: 'id of the `issue.requested`' });

/** On every event about an attempt. */
const ofIssue = {
  requestId,
  /** Where the log keeps the request. */
  request: Type.Object({ stream: Type.String(), revision: Type.String() }),
  requestedBy: RequestedBy,
  eventId: Type.String({ description: 'id of the event that led to the issue' }),
  attempt: Type.Integer({ minimum: 1, description: '1 for the first' }),
  integrationId: Type.Optional(Type.String({ description: 'id of the integration; absent if there is none' })),
};
const aboutIssue = {
  requestId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5b',
  request: { stream: 'decisions-0195cbd0-b41c-7f04-8ee0-aa2a0e71b0aa', revision: '1' },
  requestedBy,
  eventId,
  attempt: 1,
  integrationId,
};
const latencyMs = Type.Integer({ minimum: 0, description: 'of this attempt' });
const error = Type.Object({
  code: Type.String({ description: 'stable, such as `http.404`' }),
  message: Type.String({ description: 'for people' }),
});
const inTracker = {
  provider: Type.String(),
  issue: Type.Object({
    id: Type.String({ description: 'as the tracker names it: its number at GitHub and GitLab' }),
    url: Type.Optional(Type.String()),
  }),
  account: Type.Optional(Type.String({ description: 'id of the account that the token belongs to' })),
};
const example = { provider: 'github', issue: { id: '17', url: 'https://github.com/acme/app/issues/17' } };

/** Issues that are opened in trackers outside. What happens to them later comes in as `issue.*` of the sender. */
export const trackerEvents = {
  'tracker.attempted': defineEvent({
    description: 'An attempt to open an issue in a tracker outside begins.',
    system: true,
    data: Type.Object(ofIssue),
    example: aboutIssue,
  }),
  'tracker.attempt_failed': defineEvent({
    description: 'An attempt to open an issue in a tracker outside failed; another follows.',
    system: true,
    data: Type.Object({
      ...ofIssue,
      error,
      latencyMs,
      mayHaveArrived: Type.Boolean({ description: 'whether the issue may have been opened all the same' }),
      nextAttemptAt: Type.String({ description: 'RFC 3339 UTC' }),
    }),
    example: {
      ...aboutIssue,
      error: { code: 'http.502', message: 'GitHub answered 502.' },
      latencyMs: 41,
      mayHaveArrived: true,
      nextAttemptAt: '2026-11-20T13:14:25.123Z',
    },
  }),
  'tracker.key_taken': defineEvent({
    description: 'The issue of a request has a dedupe key from now on.',
    system: true,
    data: Type.Object({ requestId, dedupeKey: Type.String(), integrationId: Type.String() }),
    example: { requestId: 'evt_01jq5x1d0wkz4s3v2n8m7b6c5b', dedupeKey: 'db-latency', integrationId },
  }),
  'tracker.issue_opened': defineEvent({
    description: 'An issue was opened in a tracker outside.',
    system: true,
    data: Type.Object({ ...ofIssue, ...inTracker, latencyMs }),
    example: { ...aboutIssue, ...example, latencyMs: 120 },
  }),
  'tracker.issue_commented': defineEvent({
    description: 'An existing issue in a tracker outside has a comment, or another change.',
    system: true,
    data: Type.Object({ ...ofIssue, ...inTracker, commentId: Type.Optional(Type.String()), latencyMs }),
    example: { ...aboutIssue, ...example, commentId: '4711', latencyMs: 120 },
  }),
  'tracker.failed': defineEvent({
    description: 'An issue was not opened in a tracker outside, and no further attempt follows.',
    system: true,
    data: Type.Object({ ...ofIssue, error, latencyMs }),
    example: { ...aboutIssue, error: { code: 'http.404', message: 'GitHub answered 404: Not Found.' }, latencyMs: 80 },
  }),
} as const;
