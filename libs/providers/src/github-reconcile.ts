import type { Reconcile, ReconcileContext, Reconciliation } from '#libs/plugin-sdk/src/define-provider.js';
import { fieldsOf, idOf, type Json, listOf, textOf } from '#libs/plugin-sdk/src/fields.js';

const API = 'https://api.github.com';
const PER_PAGE = 100;
/** GitHub keeps deliveries for three days; more of them in one go are left to the next. */
const MAX_PAGES = 50;
const MAX_MISSING = 1000;
/** What was sent just now may still be on its way. */
const IN_FLIGHT_MS = 60_000;
const TIMEOUT_MS = 15_000;
const MAX_BYTES = 4 * 1024 * 1024;

interface Delivery {
  readonly id: string;
  readonly guid: string;
  readonly event: string;
  readonly deliveredAt: number;
}

type Failure = NonNullable<Reconciliation['failure']>;

/** GitHub redelivers nothing by itself, but remembers what it sent, and sends it again when asked. */
export const githubReconcile: Reconcile = {
  needs: ['token', 'hookId', 'repository'],

  async run(context) {
    const { config } = context;
    const hook = `${(textOf(config['apiUrl']) ?? API).replace(/\/+$/, '')}/repos/${textOf(config['repository'])}/hooks/${idOf(config['hookId'])}/deliveries`;
    const { deliveries, failure } = await listed(hook, context);
    const seen = await context.seen([...deliveries.keys()]);
    const missing: { deliveryId: string; eventType: string; requested: boolean }[] = [];
    let stop: Failure | undefined = failure;
    for (const { guid, id, event, deliveredAt } of deliveries.values()) {
      if (seen.has(guid) || deliveredAt > context.now.getTime() - IN_FLIGHT_MS) continue;
      if (missing.length === MAX_MISSING || context.signal.aborted) break;
      const answer = stop ? undefined : await ask(context, 'POST', `${hook}/${encodeURIComponent(id)}/attempts`);
      // A token that may not, or a limit that is reached, holds for those that follow too.
      if (answer && 'failure' in answer) stop = answer.failure;
      missing.push({ deliveryId: guid, eventType: event, requested: answer !== undefined && !('failure' in answer) });
    }
    return { checked: deliveries.size, missing, ...(stop && { failure: stop }) };
  },
};

/** Deliveries by their GUID, which all attempts of one share; of several attempts the newest. */
async function listed(
  hook: string,
  context: ReconcileContext,
): Promise<{ readonly deliveries: ReadonlyMap<string, Delivery>; readonly failure?: Failure }> {
  const deliveries = new Map<string, Delivery>();
  let url: string | undefined = `${hook}?per_page=${PER_PAGE}`;
  for (let page = 0; url !== undefined && page < MAX_PAGES && !context.signal.aborted; page++) {
    const answer: Answer = await ask(context, 'GET', url);
    if ('failure' in answer) return { deliveries, failure: answer.failure };
    let oldest = Infinity;
    for (const entry of listOf(answer.json)) {
      const delivery = fieldsOf(entry);
      const [id, guid] = [idOf(delivery['id']), textOf(delivery['guid'])];
      const deliveredAt = Date.parse(textOf(delivery['delivered_at']) ?? '');
      if (id === undefined || guid === undefined || Number.isNaN(deliveredAt)) continue;
      oldest = Math.min(oldest, deliveredAt);
      if (deliveredAt >= context.since.getTime() && !deliveries.has(guid))
        deliveries.set(guid, { id, guid, event: textOf(delivery['event']) ?? 'unknown', deliveredAt });
    }
    url = oldest < context.since.getTime() ? undefined : nextPage(answer.link, hook);
  }
  return { deliveries };
}

/** Where the header `Link` says that it goes on; elsewhere than at this hook the token is not sent. */
function nextPage(link: string, hook: string): string | undefined {
  const [, url] = /<([^>]+)>;\s*rel="?next"?/.exec(link) ?? [];
  return url?.startsWith(`${hook}?`) === true ? url : undefined;
}

type Answer = { readonly json: Json; readonly link: string } | { readonly failure: Failure };

async function ask(context: ReconcileContext, method: string, url: string): Promise<Answer> {
  const { http, config, signal, now } = context;
  const outcome = await http.request({
    method,
    url,
    headers: {
      accept: 'application/vnd.github+json',
      authorization: `Bearer ${textOf(config['token']) ?? ''}`,
      'user-agent': 'millrace',
      'x-github-api-version': '2022-11-28',
    },
    timeoutMs: TIMEOUT_MS,
    keepBytes: MAX_BYTES,
    maxBytes: MAX_BYTES,
    signal,
  });
  if (outcome.kind === 'failed')
    return failed('unreachable', `GitHub cannot be reached: ${outcome.detail}. Check apiUrl.`);
  const { status, headers, body } = outcome;
  if (status >= 200 && status < 300) return { json: parsed(body), link: headers['link'] ?? '' };
  const wait = waitOf(headers, now.getTime());
  if (status === 429 || (status === 403 && wait !== undefined))
    return failed('rate_limited', 'GitHub asks to wait: its rate limit is reached.', wait ?? 60_000);
  if (status === 401 || status === 403)
    return failed(
      'unauthorised',
      `GitHub refuses the token (${status}). It needs to read and write the webhooks of the repository.`,
    );
  if (status === 404)
    return failed(
      'not_found',
      'GitHub knows no such hook (404). Check repository and hookId, and what the token may see.',
    );
  return failed(`http.${status}`, `GitHub answered ${status}.`);
}

const failed = (code: string, detail: string, retryAfterMs?: number): Answer => ({
  failure: { code, detail, ...(retryAfterMs !== undefined && { retryAfterMs }) },
});

/** Milliseconds that GitHub asks to wait, of either of its limits. */
function waitOf(headers: Readonly<Record<string, string>>, now: number): number | undefined {
  const seconds = Number(headers['retry-after']);
  if (headers['retry-after'] !== undefined && seconds >= 0) return seconds * 1000;
  if (headers['x-ratelimit-remaining'] !== '0') return undefined;
  return Math.max(0, Number(headers['x-ratelimit-reset'] ?? 0) * 1000 - now);
}

function parsed(body: Buffer): Json {
  try {
    return JSON.parse(body.toString('utf8')) as Json;
  } catch {
    return null;
  }
}
