import { beforeEach, describe, expect, it } from '@jest/globals';

import { Keyring } from '#libs/access/src/secrets/keyring.js';
import { PostgresSecrets } from '#libs/access/src/secrets/secrets.adapter.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { FixedClock } from '#libs/kernel/src/clock.js';
import { inTransaction } from '#libs/persistence/src/transaction/in-transaction.adapter.js';

import { useViews } from '../../../../test/support/views.js';
import { IntegrationView } from '../integration/integration.view.js';
import { ForgetRefused } from './forget-refused.subscriber.js';
import { RefusedController } from './refused.controller.js';
import { RefusedRequests } from './refused-requests.js';
import { RefusedStore } from './refused-store.adapter.js';
import { RefusedRequestView } from './refused.view.js';

const views = useViews({ entities: [IntegrationView, RefusedRequestView] });
const START = new Date('2026-11-30T12:00:00Z');
const DAY_MS = 86_400_000;
const caller = { orgId: 'org_1' } as never;

describe('refused requests', () => {
  let clock: FixedClock;
  let refused: RefusedRequests;
  let secrets: PostgresSecrets;
  let store: RefusedStore;
  let controller: RefusedController;
  beforeEach(async () => {
    clock = new FixedClock(START);
    refused = new RefusedRequests();
    secrets = new PostgresSecrets(views.dataSource, new Keyring([Buffer.alloc(32, 1)]));
    store = new RefusedStore(views.dataSource, secrets, refused, clock);
    controller = new RefusedController(views.dataSource, store);
    for (const [id, orgId] of [
      ['int_1', 'org_1'],
      ['int_2', 'org_2'],
    ])
      await views.dataSource.query(
        `insert into views.integrations (id, org_id, created_at, updated_at, state, revision) values ($1, $2, now(), now(), '{}', 0)`,
        [id, orgId],
      );
  });

  const note = (n = 1, body: string | Buffer = `{"n":${n}}`, headers: Record<string, string> = {}, id = 'int_1') =>
    refused.note(
      { id, orgId: id === 'int_1' ? 'org_1' : 'org_2' },
      { status: 401, code: 'inbound.signature_mismatch', detail: 'Sign the raw bytes.' },
      {
        requestId: `req-${n}`,
        request: {
          headers,
          rawBody: Buffer.from(body),
          query: {},
          contentType: 'application/json',
          sourceIp: '203.0.113.9',
        },
      },
      clock.now(),
    );
  const list = async (limit?: string, cursor?: string) => controller.list(caller, 'int_1', limit, cursor);
  const rows = async () =>
    (await views.dataSource.query<{ text: string }[]>('select r::text as text from views.refused_requests r')).map(
      ({ text }) => text,
    );

  it('are shown with why, what was sent and what to do, the newest first', async () => {
    note(1);
    clock.advance(1_000);
    note(2, 'Grüße', {
      'content-type': 'application/json',
      'x-hub-signature-256': 'sha256=00',
      'x-gitlab-token': 'glpat-very-secret',
      authorization: 'Bearer very-secret',
      'x-acme-key': 'very-secret',
    });
    const { data } = await list();
    expect(data).toMatchObject([
      {
        at: '2026-11-30T12:00:01.000Z',
        status: 401,
        code: 'inbound.signature_mismatch',
        expected: 'Sign the raw bytes.',
        body: 'Grüße',
        bodyBytes: 7,
        requestId: 'req-2',
        leftOut: 0,
        headers: {
          'content-type': 'application/json',
          'x-hub-signature-256': 'sha256=00',
          'x-gitlab-token': '(17 characters)',
          authorization: '(18 characters)',
          'x-acme-key': '(11 characters)',
        },
      },
      { requestId: 'req-1', body: '{"n":1}' },
    ]);
    expect((await rows()).join()).not.toMatch(/very-secret|Grüße|203\.0\.113/);
    const page = await list('1');
    expect(page.data).toHaveLength(1);
    expect((await list('1', page.nextCursor!)).data).toMatchObject([{ requestId: 'req-1' }]);
    await expect(controller.list(caller, 'int_2')).rejects.toMatchObject({ code: 'integration.not_found' });
  });

  it('keep the first 4 KiB of a body, and bytes that are no text as base64', async () => {
    note(1, 'é'.repeat(3_000));
    note(2, `x${'é'.repeat(3_000)}`);
    note(3, Buffer.from([0xff, 0x00]));
    const { data } = await list();
    expect(data[2]).toMatchObject({ body: 'é'.repeat(2_048), bodyBytes: 6_000 });
    expect(data[1]).toMatchObject({ body: `x${'é'.repeat(2_047)}` });
    expect(data[0]).toMatchObject({ body: null, bodyBase64: '/wA=' });
  });

  it('are the newest 500 of each integration, and of a flood 20 a second', async () => {
    for (let second = 0; second < 26; second++) {
      for (let n = 0; n < 1_000; n++) note(second * 1_000 + n);
      note(1, '{}', {}, 'int_2');
      await store.flush();
      clock.advance(1_000);
    }
    const [counts] = await views.dataSource.query<{ one: number; two: number }[]>(
      `select count(*) filter (where integration_id = 'int_1')::int as one,
         count(*) filter (where integration_id = 'int_2')::int as two from views.refused_requests`,
    );
    expect(counts).toEqual({ one: 500, two: 26 });
    expect((await list('1')).data[0]).toMatchObject({ requestId: 'req-25019', leftOut: 0 });
    expect((await list('20')).data[19]).toMatchObject({ requestId: 'req-25000', leftOut: 980 });
  });

  it('go after seven days, with the keys of their bodies', async () => {
    note(1);
    await store.flush();
    const reference = 'refused-requests/key/2026-11-30';
    clock.advance(6 * DAY_MS);
    note(2);
    await store.flush();
    expect((await list()).data.map(({ requestId }) => requestId)).toEqual(['req-2', 'req-1']);
    clock.advance(2 * DAY_MS + 3_600_000);
    await store.flush();
    expect((await list()).data.map(({ requestId }) => requestId)).toEqual(['req-2']);
    expect((await secrets.get([reference])).size).toBe(0);
    // A row that came back with a backup cannot be read.
    const sealed = Buffer.alloc(40);
    expect(await store.bodyOf(sealed, START, 'int_1')).toBeUndefined();
  });

  it('go where a person of the organisation is erased, also those that are not written yet', async () => {
    note(1);
    await store.flush();
    note(2);
    note(1, '{}', {}, 'int_2');
    clock.advance(1_000);
    const erased = { metadata: { orgId: 'org_1' }, created: clock.now() } as RecordedEvent;
    await inTransaction(views.dataSource, async (tx) =>
      new ForgetRefused().handle([erased], { transaction: () => Promise.resolve(tx) } as never),
    );
    await store.flush();
    expect((await list()).data).toEqual([]);
    clock.advance(1_000);
    note(3);
    expect((await list()).data.map(({ requestId }) => requestId)).toEqual(['req-3']);
    expect(await rows()).toHaveLength(2);
  });
});
