import { backoff, parseJson, retryAfterSeconds } from '#libs/plugin-sdk/index.js';
import type { Asked, Reconcile, ReconcileContext, Reconciliation } from '#libs/plugin-sdk/src/define-provider.js';
import { booleanOf, fieldsOf, idOf, type Json, listOf, textOf } from '#libs/plugin-sdk/src/fields.js';

const API = 'https://api.github.com';
const PER_PAGE = 100;
const MAX_PAGES = 200;
/** Asked for in one go; the others are left to the next. */
const MAX_MISSING = 1000;
/** Of what is not asked for this time so many are named. */
const MAX_WAITING = 100;
/** What was asked for and has not arrived is asked for again after this, then after twice as long each time. */
const PAUSES = { first: 10 * 60_000, max: 6 * 3_600_000 };
/** What was sent just now may still be on its way. */
const IN_FLIGHT_MS = 60_000;
const TIMEOUT_MS = 15_000;
const MAX_BYTES = 4 * 1024 * 1024;

interface Delivery {
  /** Of its newest attempt. */
  readonly id: string;
  readonly guid: string;
  readonly event: string;
  /** Milliseconds since 1970 of its newest attempt. */
  readonly lastAt: number;
  /** The same of the oldest that GitHub names. */
  readonly firstAt: number;
  /** The attempt that nobody asked for is among those that GitHub names. */
  readonly hasOriginal: boolean;
}

type Failure = NonNullable<Reconciliation['failure']>;

/** GitHub redelivers nothing by itself, but remembers what it sent, and sends it again when asked. */
export const githubReconcile: Reconcile = {
  needs: ['token', 'hookId', 'repository'],

  async run(context) {
    const { config } = context;
    const hook = `${(textOf(config['apiUrl']) ?? API).replace(/\/+$/, '')}/repos/${textOf(config['repository'])}/hooks/${idOf(config['hookId'])}/deliveries`;
    const { deliveries, failure, stops } = await listed(hook, context);
    const seen = await context.seen([...deliveries.keys()]);
    const now = context.now.getTime();
    const unseen = [...deliveries.values()].filter(({ guid }) => !seen.has(guid));
    const lost = unseen.filter(({ lastAt }) => lastAt <= now - IN_FLIGHT_MS);
    const asked = lost.length === 0 ? new Map<string, Asked>() : await context.asked(lost.map(({ guid }) => guid));
    // Asked for until GitHub forgot when it was first sent: by then it has been for three days.
    const over = new Set(lost.filter(({ guid, hasOriginal }) => !hasOriginal && asked.has(guid)));
    // The oldest are the next that GitHub forgets.
    const due = lost.filter((one) => !over.has(one) && now >= dueAt(asked.get(one.guid))).reverse();
    const isDue = new Set(due);
    const waiting = lost.filter((one) => !isDue.has(one)).slice(0, MAX_WAITING);
    const missing: Mutable<Reconciliation['missing']> = [];
    let stop = stops ? failure : undefined;
    for (const delivery of [...due, ...waiting].slice(0, MAX_MISSING)) {
      const { guid, id, event } = delivery;
      const url = `${hook}/${encodeURIComponent(id)}/attempts`;
      const answer = stop || !isDue.has(delivery) ? undefined : await ask(context, 'POST', url);
      const failed = answer && 'failure' in answer ? answer.failure : undefined;
      // A token that may not, or a limit that is reached, holds for those that follow too; one delivery does not.
      const refused = failed?.code === NOT_THERE || failed?.code === UNPROCESSABLE;
      if (failed && !refused) stop = failed;
      const requested = answer !== undefined && !failed;
      missing.push({ deliveryId: guid, eventType: event, requested, ...(refused && { refused }) });
    }
    const openSince = Math.min(...unseen.filter((one) => !over.has(one)).map(({ firstAt }) => firstAt));
    const told = stop ?? failure;
    return {
      checked: deliveries.size,
      missing,
      ...(due.length > MAX_MISSING && { more: true }),
      ...(openSince < Infinity && { openSince: new Date(openSince) }),
      ...(told && { failure: told }),
    };
  },
};

type Mutable<List> = List extends readonly (infer One)[] ? One[] : never;

/** Milliseconds since 1970 from which on it is asked for again. */
const dueAt = (asked: Asked | undefined): number =>
  asked === undefined ? 0 : asked.last.getTime() + backoff(asked.times, PAUSES, 1);

/** Of one delivery: it is too old by now, or its hook sends it no more. */
const NOT_THERE = 'not_found';
const UNPROCESSABLE = 'http.422';

interface Listed {
  readonly deliveries: ReadonlyMap<string, Delivery>;
  readonly failure?: Failure;
  /** Nothing more can be asked of GitHub now; otherwise what is listed is as good as all of it. */
  readonly stops?: boolean;
}

/** Deliveries by their GUID, which all attempts of one share. */
async function listed(hook: string, context: ReconcileContext): Promise<Listed> {
  const deliveries = new Map<string, Delivery>();
  let url: string | undefined = `${hook}?per_page=${PER_PAGE}`;
  for (let page = 0; url !== undefined; page++) {
    if (page === MAX_PAGES) {
      const detail = `GitHub lists more than ${MAX_PAGES * PER_PAGE} deliveries: older ones are not checked.`;
      return { deliveries, failure: { code: 'too_many', detail } };
    }
    const answer: Answer = await ask(context, 'GET', url);
    if ('failure' in answer) return { deliveries, failure: answer.failure, stops: true };
    let oldest = Infinity;
    for (const entry of listOf(answer.json)) {
      const attempt = attemptIn(entry);
      if (!attempt) continue;
      oldest = Math.min(oldest, attempt.firstAt);
      if (attempt.firstAt >= context.since.getTime())
        deliveries.set(attempt.guid, together(deliveries.get(attempt.guid), attempt));
    }
    const next: string | Failure | undefined =
      oldest < context.since.getTime() ? undefined : nextPage(answer.link, hook);
    if (typeof next === 'object') return { deliveries, failure: next };
    url = next;
  }
  return { deliveries };
}

function attemptIn(entry: Json): Delivery | undefined {
  const attempt = fieldsOf(entry);
  const [id, guid] = [idOf(attempt['id']), textOf(attempt['guid'])];
  const at = Date.parse(textOf(attempt['delivered_at']) ?? '');
  if (id === undefined || guid === undefined || Number.isNaN(at)) return undefined;
  const hasOriginal = booleanOf(attempt['redelivery']) !== true;
  return { id, guid, event: textOf(attempt['event']) ?? 'unknown', lastAt: at, firstAt: at, hasOriginal };
}

/** Attempts come the newest first. */
const together = (newer: Delivery | undefined, older: Delivery): Delivery =>
  newer ? { ...newer, firstAt: older.firstAt, hasOriginal: newer.hasOriginal || older.hasOriginal } : older;

/**
 * The page after this one. GitHub writes `Link` with addresses of another form than the one that was asked
 * (`/repositories/{id}/…`), so the cursor is all that is taken from it: the token goes to this hook and nowhere else.
 * `undefined` if this was the last one.
 */
function nextPage(link: string, hook: string): string | Failure | undefined {
  const next = [...link.matchAll(/<([^<>]*)>([^<]*)/g)].find(([, , more]) => NEXT.test(more!));
  if (!next) return undefined;
  const cursor = URL.canParse(next[1]!, hook) ? new URL(next[1]!, hook).searchParams.get('cursor') : null;
  if (cursor) return `${hook}?${new URLSearchParams({ per_page: String(PER_PAGE), cursor }).toString()}`;
  const detail = 'GitHub lists more deliveries in a link without a cursor: older ones are not checked.';
  return { code: 'no_cursor', detail };
}

const NEXT = /;\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next\b)/i;

type Answer = { readonly json: Json; readonly link: string } | { readonly failure: Failure };

async function ask(context: ReconcileContext, method: string, url: string): Promise<Answer> {
  const { http, config, signal, now } = context;
  const request = {
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
  };
  const outcome = await http.request(request).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
  // No error: what was asked for until then is worth knowing.
  if (!outcome || signal.aborted)
    return failed('interrupted', 'The time limit was reached: the rest is checked the next time.');
  if (outcome.kind === 'failed')
    return failed('unreachable', `GitHub cannot be reached: ${outcome.detail}. Check apiUrl.`);
  const { status, headers, body } = outcome;
  if (status >= 200 && status < 300) return { json: parsed(body), link: headers['link'] ?? '' };
  const wait = waitOf(headers, now.getTime());
  if (status === 429 || (status === 403 && wait !== undefined))
    return failed('rate_limited', 'The rate limit of GitHub is reached.', wait ?? 60_000);
  if (status === 401 || status === 403)
    return failed(
      'unauthorised',
      `GitHub refused the token (${status}). It needs permission to read and write the webhooks of the repository.`,
    );
  if (status === 404)
    return failed(
      'not_found',
      'GitHub did not find the webhook (404). Check repository, hookId, and the permissions of the token.',
    );
  return failed(`http.${status}`, `GitHub answered ${status}.`);
}

const failed = (code: string, detail: string, retryAfterMs?: number): Answer => ({
  failure: { code, detail, ...(retryAfterMs !== undefined && { retryAfterMs }) },
});

/** Milliseconds that GitHub asks to wait, of either of its limits. */
function waitOf(headers: Readonly<Record<string, string>>, now: number): number | undefined {
  const seconds = retryAfterSeconds(headers['retry-after'], new Date(now));
  if (seconds !== undefined) return seconds * 1000;
  const resetsAt = Number(headers['x-ratelimit-reset'] ?? 0) * 1000;
  return headers['x-ratelimit-remaining'] === '0' && resetsAt >= 0 ? Math.max(0, resetsAt - now) : undefined;
}

function parsed(body: Buffer): Json {
  try {
    return parseJson(body.toString('utf8')) as Json;
  } catch {
    return null;
  }
}
