import { followers } from '#libs/events/src/followers.js';

import { ADMIN_TOKEN, TestServer } from '../../support/server.js';
import { ACCEPTED_BODIES } from './api-bodies.js';
import { type ApiDocument, ApiInputs, type ApiRequest, type KnownIds } from './api-input.js';
import { anyTexts, roundTrips } from './round-trip.js';
import { Random } from '../random.js';
import { type Failure, resultOf, type TargetOptions, type TargetResult } from '../target-result.js';

const MOST_FAILURES = 20;
const LANES = 8;
/** Of what is reported. */
const SHOWN = 400;

/**
 * Every operation of the OpenAPI document with hostile values. No answer may be a 5xx, the server may report no fault, no
 * event may be parked, what was created must be listed afterwards, and any text comes back as it was sent.
 */
export async function fuzzApi(options: TargetOptions): Promise<TargetResult> {
  const databaseUrl = process.env['MILLRACE_FUZZ_DATABASE'];
  const server = await TestServer.start({
    // The targets may share a database, and each server has a data folder of its own.
    env: { LOG_LEVEL: 'warn', MILLRACE_SECRET_KEY: Buffer.alloc(32, 7).toString('base64') },
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
  });
  try {
    const inputs = new ApiInputs(
      await server.get<ApiDocument>('/api/v1/openapi.json'),
      await idsOf(server),
      ACCEPTED_BODIES,
    );
    return await fuzz(server, inputs, options);
  } finally {
    await server.stop();
  }
}

async function fuzz(server: TestServer, inputs: ApiInputs, options: TargetOptions): Promise<TargetResult> {
  const began = performance.now();
  const outcomes: Record<string, number> = {};
  const failures: Failure[] = [];
  const times = new Float64Array(options.inputs);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let nth = next++; nth < options.inputs && failures.length < MOST_FAILURES; nth = next++) {
      const seed = options.seed + nth;
      const request = inputs.request(seed, new Random(seed, 'api'));
      const fail = (what: string): void =>
        void failures.push({
          seed,
          what: `${request.method} ${request.path.slice(0, SHOWN)} ${what}, body ${(request.body ?? '').slice(0, SHOWN)}`,
        });
      const start = performance.now();
      const { status, text } = await answerTo(server, request, options.patienceMs);
      times[nth] = performance.now() - start;
      outcomes[status] = (outcomes[status] ?? 0) + 1;
      if (status === 0) fail(`had no answer (${text})`);
      else if (status >= 500) fail(`answered ${status}: ${text.slice(0, SHOWN)}`);
      else if (status >= 400 && !text.includes('"code"') && !/\/webhook|\/communicator/.test(request.path))
        fail(`answered ${status} without a code`);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  const seconds = (performance.now() - began) / 1000;
  const told = (what: string): void => void failures.push({ seed: options.seed, what });
  for (const line of server.output
    .split('\n')
    .filter((one) => /"level":(50|60)/.test(one))
    .slice(0, 5))
    told(`the server said: ${line.slice(0, 800)}`);
  const texts = anyTexts(Math.min(200, Math.ceil(options.inputs / 100)), new Random(options.seed, 'texts'));
  for (const problem of await roundTrips(server, texts)) told(problem);
  const ready = await server.get<{ status: string; subscribers?: readonly { name: string; parked: number }[] }>(
    '/readyz',
  );
  for (const { name, parked } of ready.subscribers ?? []) if (parked > 0) told(`${name} has parked ${parked} events`);
  for (const problem of await unlisted(server)) told(problem);
  // How long a request may take depends on what it asks for, such as a test delivery.
  const { inputs: count, seed, patienceMs } = options;
  return resultOf('api', { inputs: count, seed, patienceMs }, seconds, outcomes, failures, times);
}

async function answerTo(server: TestServer, { method, path, headers, body }: ApiRequest, patienceMs: number) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), patienceMs);
  try {
    const answer = await fetch(server.url + path, {
      method,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...headers },
      ...(body !== undefined && method !== 'GET' && { body }),
      signal: stop.signal,
    });
    const isEndless = answer.headers.get('content-type')?.startsWith('text/event-stream') === true;
    if (isEndless) await answer.body?.cancel();
    return { status: answer.status, text: isEndless ? '' : await answer.text() };
  } catch (error) {
    return { status: 0, text: String((error as Error).cause ?? error) };
  } finally {
    clearTimeout(timer);
  }
}

/** Of one thing of each kind, so that requests find something. */
async function idsOf(server: TestServer): Promise<KnownIds> {
  const made = ['integrations', 'rules', 'outbound-webhooks', 'agents', 'issues', 'events', 'tokens'].map(
    (path) => [path, ACCEPTED_BODIES[`POST /api/v1/${path}`]![0]] as const,
  );
  const ids: Record<string, string> = { workflows: 'retry-failed-webhooks', versions: '1', 'event-types': 'git.push' };
  for (const [path, body] of made) {
    const one = JSON.parse(JSON.stringify(body).replaceAll('{n}', '0')) as unknown;
    ids[path] = (await server.post<{ id: string }>(`/api/v1/${path}`, one)).id;
  }
  ids['schemas'] = 'rule.json';
  ids['subscribers'] = followers.decideRules;
  return ids;
}

/** What acts and cannot be seen would be the worst: each thing that the log has created is in its list. */
async function unlisted(server: TestServer): Promise<readonly string[]> {
  const kinds = [
    ['integrations', 'integration.created', 'integrationId', 'integration.deleted'],
    ['rules', 'rule.created', 'ruleId', 'rule.archived'],
    ['outbound-webhooks', 'webhook.registered', 'webhookId', 'webhook.deleted'],
    ['agents', 'agent.registered', 'agentId', 'agent.removed'],
  ] as const;
  const missing: string[] = [];
  for (const [path, created, field, gone] of kinds) {
    const listed = new Set((await all<{ id: string }>(server, `/api/v1/${path}`)).map(({ id }) => id));
    const of = async (type: string): Promise<readonly string[]> =>
      (await all<{ data: Record<string, string> }>(server, `/api/v1/events?type=${type}`)).map(
        ({ data }) => data[field]!,
      );
    const ended = new Set(await of(gone));
    for (const id of await of(created))
      if (!ended.has(id) && !listed.has(id)) missing.push(`${id} was created and is not in the list of ${path}`);
  }
  return missing;
}

async function all<T>(server: TestServer, path: string): Promise<readonly T[]> {
  const found: T[] = [];
  let cursor: string | null = null;
  do {
    const more: string = `${path.includes('?') ? '&' : '?'}limit=200${cursor === null ? '' : `&cursor=${cursor}`}`;
    const page: { data: T[]; nextCursor: string | null } = await server.get(path + more);
    found.push(...page.data);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return found;
}
