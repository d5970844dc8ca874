import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { HttpEgress } from '#libs/egress/src/egress.adapter.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { github } from '#libs/providers/src/github/github.js';

import { AUTHOR, githubHeaders, InboundServer } from '../../testing/inbound-server.js';
import { DeleteIntegration, DisableIntegration, disable, remove } from '../integration/integration.js';
import { type Look, Reconciler } from './reconcile.js';

const SECRET = 'github-secret';
const HOUR = 3_600_000;
const LIST = '/api/v3/repos/acme/app/hooks/42/deliveries';
/** As GitHub names it in its links. */
const LINKED = '/api/v3/repositories/1296269/hooks/42/deliveries';

interface Kept {
  readonly id: number;
  readonly guid: string;
  readonly redelivery: boolean;
  readonly at: number;
}

/** A stand-in for GitHub's API: it remembers what it has sent, a few a page, and sends it again to the webhook's URL. */
class GithubDouble {
  readonly kept: Kept[] = [];
  /** With which the payload is signed. */
  secret = SECRET;
  url = '';
  /** Of the webhook. */
  target = '';
  now = 0;
  readonly redelivered: string[] = [];
  readonly answers: number[] = [];
  private readonly server: Server = createServer((request, response) => void this.answer(request, response));

  async start(): Promise<this> {
    await new Promise<void>((listening) => this.server.listen(0, '127.0.0.1', listening));
    this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/api/v3`;
    return this;
  }

  stop(): Promise<unknown> {
    this.server.closeAllConnections();
    return new Promise((closed) => this.server.close(closed));
  }

  /** Notes a delivery, and sends it unless it gets lost. */
  async deliver(guid: string, how: { lost?: boolean; redelivery?: boolean } = {}): Promise<void> {
    this.kept.unshift({ id: this.kept.length + 1, guid, redelivery: how.redelivery === true, at: this.now });
    if (how.lost === true) return;
    const body = JSON.stringify({ zen: guid });
    const answer = await fetch(this.target, {
      method: 'POST',
      body,
      headers: githubHeaders('push', body, this.secret, guid),
    });
    this.answers.push(answer.status);
  }

  private async answer({ method, url, headers }: IncomingMessage, response: ServerResponse): Promise<void> {
    const say = (status: number, body: unknown, more: Record<string, string> = {}) =>
      response.writeHead(status, { 'content-type': 'application/json', ...more }).end(JSON.stringify(body));
    if (headers.authorization !== 'Bearer ghp_token') return void say(401, { message: 'Bad credentials' });
    const { pathname, searchParams } = new URL(url!, 'http://localhost');
    if (method === 'GET' && pathname === LIST) {
      const from = Number(searchParams.get('cursor') ?? 0);
      const next =
        from + 3 < this.kept.length && `${this.url.replace('/api/v3', LINKED)}?per_page=100&cursor=${from + 3}`;
      const page = this.kept.slice(from, from + 3).map(({ at, ...rest }) => ({
        ...rest,
        event: 'push',
        delivered_at: new Date(at).toISOString(),
      }));
      return void say(200, page, next ? { link: `<${next}>; rel="next"` } : {});
    }
    const delivery = this.kept.find(({ id }) => pathname === `${LIST}/${id}/attempts`);
    if (method !== 'POST' || !delivery) return void say(404, { message: 'Not Found' });
    this.redelivered.push(delivery.guid);
    await this.deliver(delivery.guid, { redelivery: true });
    return void say(202, {});
  }
}

let egress: HttpEgress;
beforeAll(() => {
  egress = new HttpEgress({ allowHttpTargets: true, allowPrivateTargets: ['127.0.0.0/8'] });
});
afterAll(() => egress.close());

let double: GithubDouble;
let server: InboundServer;
let id: string;
let runs: number;
let before: Look;

beforeEach(async () => {
  double = await new GithubDouble().start();
  server = await new InboundServer([{ name: 'github', sdk: 1, providers: [github] }]).start();
  const config = { apiUrl: double.url, token: 'ghp_token', hookId: 42, repository: 'acme/app' };
  ({ id, url: double.target } = await server.integration('github', { secret: SECRET, config }));
  double.now = server.clock.now().getTime() - HOUR / 2;
  runs = 0;
  before = { completeAt: null };
});
afterEach(async () => {
  await server.stop();
  await double.stop();
});

const reconciler = (http = egress): Reconciler => {
  const { store, clock, table } = server;
  const { providers } = new Plugins([{ name: 'github', sdk: 1, providers: [github] }]);
  return new Reconciler({ store, clock, http, providers, receiver: (one) => table.withId(one) });
};
const signal = new AbortController().signal;
/** One look, and its outcome in the log, ten minutes after the one before. */
async function look(): Promise<DataOf<'integration.reconciled'>> {
  const outcome = (await reconciler().ask(id, before, signal))!;
  await reconciler().record('org_1', runs++, outcome);
  before = { completeAt: outcome.startedAt, openSince: outcome.openSince ?? null };
  server.clock.advance(HOUR / 6);
  double.now += HOUR / 6;
  return outcome;
}
const delivered = async () =>
  (await server.received()).map(({ data }) => (data as unknown as { deliveryId: string }).deliveryId);

describe('what GitHub delivered while nobody was listening', () => {
  it('is found over all pages and sent again, and what had arrived is left alone', async () => {
    for (const guid of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
      await double.deliver(guid, { lost: guid === 'a' || guid === 'e' });
    expect(await look()).toMatchObject({
      checked: 8,
      missing: [
        { deliveryId: 'a', eventType: 'push', requested: true },
        { deliveryId: 'e', eventType: 'push', requested: true },
      ],
    });
    expect(double.redelivered).toEqual(['a', 'e']);
    expect((await delivered()).sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
    expect(await look()).toMatchObject({ checked: 8, missing: [] });
    expect(double.redelivered).toHaveLength(2);
  });

  it('is asked for once more at most where the process died before the outcome was recorded', async () => {
    await double.deliver('a', { lost: true });
    const request = double.deliver.bind(double);
    // Sent again, and on its way for longer than it takes to die and to look again.
    double.deliver = (guid, how) => request(guid, { ...how, lost: true });
    await reconciler().ask(id, { completeAt: null }, signal);
    double.now = server.clock.now().getTime() - HOUR / 4;
    double.deliver = request;
    await look();
    expect(double.redelivered).toEqual(['a', 'a']);
    await double.deliver('a', { redelivery: true });
    // Twice on its way, once in the log.
    expect(await delivered()).toEqual(['a']);
    expect(double.answers).toEqual([202, 202]);
    expect(await look()).toMatchObject({ missing: [] });
  });

  it('is asked for again where it is refused here, less and less often, and not for ever', async () => {
    double.secret = 'another secret';
    await double.deliver('a');
    const since = new Date(double.now).toISOString();
    const asked: number[] = [];
    for (let times = 0; times < 40; times++) {
      const { missing, openSince } = await look();
      expect([missing.length, openSince]).toEqual([1, since]);
      if (missing[0]!.requested) asked.push(times);
    }
    // Ten minutes after the first time, then 20, 40, 80, 160.
    expect(asked).toEqual([0, 1, 3, 7, 15, 31]);
    expect(double.redelivered).toHaveLength(6);
    // By hand once more: by now somebody has mended the secret.
    double.secret = SECRET;
    await reconciler().ask(id, { completeAt: null, byHand: true }, signal);
    expect(await delivered()).toEqual(['a']);
  });

  it('is asked for three days while nothing gets in, comes in when something does, and is given up after', async () => {
    await double.deliver('a', { lost: true });
    const request = double.deliver.bind(double);
    double.deliver = (guid, how) => request(guid, { ...how, lost: true });
    let last = await look();
    const first = double.now;
    for (let looks = 0; looks < 3 * 24 * 6 + 6 * 6; looks++) last = await look();
    // 10, 20, 40, 80, 160 and 320 minutes, then every six hours.
    expect(double.redelivered).toHaveLength(7 + Math.floor((3 * 24 * 60 - 30 - 630) / 360));
    expect(Math.max(...double.kept.map(({ at }) => at)) - first).toBeLessThanOrEqual(3 * 24 * HOUR);
    // By now the window ends after all that GitHub did for it.
    expect([last.missing.length, last.openSince]).toEqual([0, undefined]);
    await double.deliver('b', { lost: true });
    for (let looks = 0; looks < 6 * 6; looks++) await look();
    double.deliver = request;
    for (let looks = 0; looks < 6 * 6; looks++) await look();
    expect(await delivered()).toEqual(['b']);
  });

  it('is not asked for with a token that is refused, nor through an address that is not allowed', async () => {
    await double.deliver('a', { lost: true });
    const wrong = await server.integration('github', {
      config: { apiUrl: double.url, token: 'ghp_wrong', hookId: 42, repository: 'acme/app' },
    });
    expect(await reconciler().ask(wrong.id, { completeAt: null }, signal)).toMatchObject({
      checked: 0,
      failure: { code: 'unauthorised' },
    });
    const strict = new HttpEgress({ allowHttpTargets: true, allowPrivateTargets: [] });
    const outcome = await reconciler(strict).ask(id, { completeAt: null }, signal);
    strict.close();
    expect(outcome).toMatchObject({ checked: 0, failure: { code: 'unreachable' } });
    expect(JSON.stringify(outcome)).not.toContain('ghp_');
    expect(double.redelivered).toEqual([]);
  });

  it('is of no interest while the integration is disabled or gone', async () => {
    await double.deliver('a', { lost: true });
    await server.run(new DisableIntegration(id, AUTHOR), disable);
    expect(await reconciler().ask(id, { completeAt: null }, signal)).toBeUndefined();
    await server.run(new DeleteIntegration(id, AUTHOR), remove);
    expect(await reconciler().ask(id, { completeAt: null }, signal)).toBeUndefined();
    expect(double.redelivered).toEqual([]);
  });
});
