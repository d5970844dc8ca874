import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import { create, found, handshake, list, reconcile, remove, update, view } from './integration-verbs.js';
import { verify } from './integration-verify.js';

const integration = {
  id: 'int_1',
  name: 'billing',
  provider: 'generic_webhook',
  preset: 'stripe',
  enabled: true,
  slug: 'wh_1',
  url: 'https://m.example/wh_1',
  config: { tolerance: '5m', token: '********' },
  counts: { received: 3, refused: { stale: 1, signature_mismatch: 2 } },
  lastReceivedAt: null,
};
const stripe = { name: 'stripe', title: 'Stripe', help: ['Open the dashboard.', 'Set URL to {url}.'] };
const answers = {
  'GET /api/v1/integrations?limit=200': { data: [integration], nextCursor: null },
  'GET /api/v1/integrations/int_1': integration,
  'POST /api/v1/integrations': integration,
  'PATCH /api/v1/integrations/int_1': integration,
  'DELETE /api/v1/integrations/int_1': null,
  'GET /api/v1/providers': { data: [{ name: 'generic_webhook', presets: [stripe] }] },
};
const shellWith = (flags: { json?: boolean; quiet?: boolean } = {}, more: object = {}): FakeShell =>
  Object.assign(new FakeShell({ ...answers, ...more }), flags);
const bodyOf = (shell: FakeShell): unknown => shell.asked.at(-1)!.body;

describe('integrations', () => {
  it('are listed as a table, as JSON or as ids', async () => {
    const shell = shellWith();
    await list(shell);
    expect(shell.out[1]).toBe('int_1 | billing | stripe | enabled | 3 | 3 | –');
    const quiet = shellWith({ quiet: true });
    await list(quiet);
    expect(quiet.out).toEqual(['int_1']);
    const json = shellWith({ json: true });
    await view(json, 'billing');
    expect(JSON.parse(json.out[0]!)).toEqual(integration);
  });

  it('are found by id or by a name that one has', async () => {
    expect((await found(shellWith(), 'int_1')).name).toBe('billing');
    await expect(found(shellWith(), 'nobody')).rejects.toThrow('There is no integration "nobody"');
    const twice = { data: [integration, { ...integration, id: 'int_2' }], nextCursor: null };
    await expect(found(shellWith({}, { 'GET /api/v1/integrations?limit=200': twice }), 'billing')).rejects.toThrow(
      'int_1 or int_2',
    );
  });

  it('are created with the steps of the sender, the address filled in', async () => {
    const shell = shellWith();
    await create(
      shell,
      { name: 'billing', preset: 'stripe', config: ['tolerance=5m', 'n=[1]'] },
      { MILLRACE_SECRET: 's' },
    );
    expect(shell.asked[0]!.body).toEqual({
      name: 'billing',
      provider: 'generic_webhook',
      preset: 'stripe',
      secret: 's',
      config: { tolerance: '5m', n: [1] },
    });
    expect(shell.out.join('\n')).toContain('2. Set URL to https://m.example/wh_1.');
  });

  it('are changed key by key: masked secrets go back as they came', async () => {
    const shell = shellWith();
    await update(shell, 'billing', { config: ['tolerance=null', 'more=true'], secret: 'another', graceSeconds: '60' });
    expect(bodyOf(shell)).toEqual({ secret: 'another', graceSeconds: 60, config: { token: '********', more: true } });
    await update(shell, 'int_1', { disable: true });
    expect(bodyOf(shell)).toEqual({ enabled: false });
    await expect(update(shell, 'int_1', {})).rejects.toThrow('Set at least one option');
    await expect(update(shell, 'int_1', { enable: true, disable: true })).rejects.toThrow('not both');
  });

  it('are deleted', async () => {
    const shell = shellWith();
    await remove(shell, 'billing');
    expect(shell.out).toEqual(['int_1 is deleted. Its events stay.']);
  });

  it('show what a handshake asks for', async () => {
    const waiting = { status: 'waiting', openUntil: null, verificationToken: 'secret_t', confirmUrl: null };
    const open = { ...waiting, status: 'open', openUntil: 'soon', verificationToken: null };
    const more = {
      'GET /api/v1/integrations/int_1/handshake': waiting,
      'POST /api/v1/integrations/int_1/handshake': open,
    };
    const shell = shellWith({}, more);
    await handshake(shell, 'billing', {});
    await handshake(shell, 'billing', { open: true });
    expect(shell.out.join('\n')).toMatch(
      /status: waiting\nEnter this token.*\n {2}secret_t\nstatus: open\n.*until soon/,
    );
    const quiet = shellWith({ quiet: true }, more);
    await handshake(quiet, 'int_1', {});
    expect(quiet.out).toEqual(['secret_t']);
  });
});

describe('a saved request', () => {
  let folder: string;
  let file: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-verify-'));
    file = join(folder, 'a.http');
    writeFileSync(file, 'POST /api/v1/webhooks/inbound/{slug}?a=1 HTTP/1.1\r\nx-sig: 1\r\n\r\n{}');
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const VERIFY = 'POST /api/v1/integrations/int_1/verify';

  it('is tried at the address of the integration', async () => {
    const trial = {
      accepted: true,
      status: 200,
      authentication: 'hmac-sha256',
      eventType: 'paid',
      deliveryId: null,
      events: [{ type: 'webhook.received' }],
    };
    const shell = shellWith({}, { [VERIFY]: trial });
    expect(await verify(shell, 'billing', file)).toBe(0);
    expect(bodyOf(shell)).toEqual({
      method: 'POST',
      url: '/api/v1/webhooks/inbound/wh_1?a=1',
      headers: { 'x-sig': '1' },
      body: '{}',
    });
    expect(shell.out.join('\n')).toContain('proved by: hmac-sha256');
  });

  it('that would be refused is told with the part that does not fit, and exits with 1', async () => {
    const trial = {
      accepted: false,
      status: 401,
      code: 'inbound.signature_mismatch',
      detail: 'No.',
      failed: 'signature',
      wants: 'X-Sig: hex',
      found: { 'x-sig': 1 },
      hints: ['It fits as base64.'],
    };
    const shell = shellWith({}, { [VERIFY]: trial });
    expect(await verify(shell, 'billing', file)).toBe(1);
    expect(shell.out).toEqual([
      'refused: 401 inbound.signature_mismatch',
      '  detail: No.',
      '  does not fit: signature',
      '  wanted: X-Sig: hex',
      '  headers that came, with their lengths: x-sig (1)',
      '  hint: It fits as base64.',
    ]);
    const quiet = shellWith({ quiet: true }, { [VERIFY]: trial });
    expect(await verify(quiet, 'billing', file)).toBe(1);
    expect(quiet.out).toEqual(['refused: 401 inbound.signature_mismatch']);
  });

  it('are reconciled, and say what is missing and why the comparison is incomplete', async () => {
    const missing = [{ deliveryId: 'd-1', eventType: 'push', requested: true }];
    const failure = { code: 'unauthorised', detail: 'Set config.token.' };
    const asked = 'POST /api/v1/integrations/int_1/reconcile';
    const shell = shellWith({}, { [asked]: { checked: 7, missing } });
    expect(await reconcile(shell, 'billing')).toBe(0);
    expect(shell.out).toEqual([
      '7 deliveries compared, 1 missing.',
      'DELIVERY | TYPE | REQUESTED AGAIN',
      'd-1 | push | yes',
    ]);
    const failed = shellWith({ quiet: true }, { [asked]: { checked: 0, missing: [], failure } });
    expect(await reconcile(failed, 'int_1')).toBe(1);
    expect(failed.notes).toEqual(['The comparison is incomplete: unauthorised: Set config.token.']);
  });
});
