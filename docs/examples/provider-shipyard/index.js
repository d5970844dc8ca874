import {
  definePlugin,
  defineProvider,
  fieldsOf,
  hmacSha256Hex,
  known,
  textOf,
  verifyHmac,
  withinTolerance,
} from 'millrace/plugin-sdk';

const TIME = 'x-shipyard-time';
const signed = ({ headers, rawBody }) => Buffer.concat([Buffer.from(`${headers[TIME]}.`), rawBody]);
const scheme = { header: 'x-shipyard-signature', prefix: 'v1=', signed };

export const shipyard = defineProvider({
  name: 'shipyard',
  description: 'Shipyard: what became of deploys, signed with X-Shipyard-Signature.',
  keepHeaders: [TIME],

  verify(request, context) {
    const verdict = verifyHmac(request, context, scheme);
    if (!verdict.ok || verdict.authentication === 'slug') return verdict;
    const sentAt = Number(request.headers[TIME]) * 1000;
    return withinTolerance(sentAt, context.now) ? verdict : { ok: false, reason: 'stale' };
  },

  sign({ rawBody }, { secrets: [secret], now }) {
    const headers = { [TIME]: String(Math.floor(now.getTime() / 1000)) };
    return { ...headers, [scheme.header]: `v1=${hmacSha256Hex(secret, signed({ headers, rawBody }))}` };
  },

  normalise({ value }) {
    const body = fieldsOf(value);
    const eventType = textOf(body.event) ?? 'unknown';
    const event = eventType === 'deploy.finished' ? deployFinished(body) : undefined;
    return { deliveryId: textOf(body.id), eventType, events: [event ?? anythingElse] };
  },
});

const anythingElse = { type: 'webhook.received', subject: 'shipyard', data: {} };
const statuses = new Map([
  ['succeeded', 'success'],
  ['failed', 'failure'],
  ['aborted', 'cancelled'],
]);

function deployFinished({ app, at, branch, outcome, commit, link, by }) {
  const fullName = textOf(app);
  if (fullName === undefined) return undefined;
  const status = statuses.get(outcome) ?? 'other';
  return {
    type: 'pipeline.finished',
    subject: `repository/${fullName}`,
    timestamp: textOf(at),
    data: known({
      repository: { name: fullName.split('/').at(-1), fullName },
      branch: textOf(branch),
      pipeline: known({ name: 'deploy', status, commit: textOf(commit), url: textOf(link) }),
      author: known({ username: textOf(by) }),
    }),
  };
}

export default definePlugin({ name: 'millrace-provider-shipyard', sdk: 1, providers: [shipyard] });
