import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parseHttpFile } from '#libs/plugin-sdk/src/http-file.js';

import { githubPush } from '../../support/github.js';
import { ROOT } from '../../support/server.js';
import { type IdPlace, sha256Signature } from './load-process.js';

/** Whose requests the benchmarks send. */
export const SENDERS = ['github', 'gitlab', 'slack', 'generic'] as const;
export type SenderName = (typeof SENDERS)[number];

export interface Sender {
  readonly provider: string;
  readonly secret: string;
  /** Type of the event that each request becomes. */
  readonly type: string;
  readonly body: string;
  /** Those that do not change from request to request. */
  readonly headers: Readonly<Record<string, string>>;
  readonly id: IdPlace;
}

/** As long as a UUID; each request has its own in their place. */
const PLACEHOLDER = '#'.repeat(36);
const JSON_TYPE = { 'content-type': 'application/json' };
const saved = (name: string): unknown =>
  JSON.parse(parseHttpFile(readFileSync(join(ROOT, 'libs/providers/fixtures', name))).body.toString());

/** @param branch of the push, for GitHub. */
export function senderOf(name: SenderName, secret: string, branch = 'main'): Sender {
  switch (name) {
    case 'github': {
      const body = JSON.stringify(githubPush(branch));
      const headers = { ...JSON_TYPE, 'user-agent': 'GitHub-Hookshot/044aadd', 'x-github-event': 'push' };
      return {
        provider: 'github',
        secret,
        type: 'git.push',
        body,
        headers: { ...headers, 'x-hub-signature-256': sha256Signature(secret, body) },
        id: { idHeader: 'x-github-delivery' },
      };
    }
    case 'gitlab': {
      const push = saved('gitlab/push.http') as { commits: unknown[] };
      // As long as GitHub's.
      const body = JSON.stringify({ ...push, commits: Array.from({ length: 15 }, () => push.commits[0]) });
      return {
        provider: 'gitlab',
        secret,
        type: 'git.push',
        body,
        headers: { ...JSON_TYPE, 'x-gitlab-event': 'Push Hook', 'x-gitlab-token': secret },
        id: { idHeader: 'idempotency-key' },
      };
    }
    case 'slack': {
      const body = JSON.stringify({ ...(saved('slack/message.http') as object), event_id: PLACEHOLDER });
      return {
        provider: 'slack',
        secret,
        type: 'message.received',
        body,
        headers: JSON_TYPE,
        id: { slackSecret: secret },
      };
    }
    case 'generic': {
      const body = JSON.stringify({ ...(saved('generic_webhook/alert.http') as object), details: 'x'.repeat(1_920) });
      return {
        provider: 'generic_webhook',
        secret,
        type: 'webhook.received',
        body,
        headers: { ...JSON_TYPE, 'x-event-type': 'alert.fired', 'x-webhook-signature': sha256Signature(secret, body) },
        id: { idHeader: 'idempotency-key' },
      };
    }
  }
}
