import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { afterEach, describe, expect, it } from '@jest/globals';
import { fastify } from 'fastify';

import { signatureHeaders } from '#libs/plugin-sdk/src/signature-headers.js';
import { verifyWebhook } from '#libs/plugin-sdk/src/verify-webhook.js';

import { newSecret } from '../webhook/signing.js';

const EXAMPLE = fileURLToPath(new URL('../../../../docs/examples/verify-webhook.mjs', import.meta.url));
const body = JSON.stringify({ id: 'evt_1', type: 'git.push', data: { text: 'é' } });

let child: ChildProcess | undefined;
afterEach(async () => {
  if (child && child.exitCode === null) {
    child.kill();
    await once(child, 'exit');
  }
  child = undefined;
});

/** The example as a receiver starts it. */
async function receiver(secret: string): Promise<(headers: Record<string, string>, text?: string) => Promise<string>> {
  child = spawn(process.execPath, [EXAMPLE, '0'], { env: { ...process.env, WEBHOOK_SECRET: secret } });
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  const url = /http:\S+/.exec(line.toString())![0];
  return async (headers, text = body) => {
    const answer = await fetch(url, { method: 'POST', headers, body: text });
    return `${answer.status} ${await answer.text()}`;
  };
}
const signed = (secrets: readonly string[], timestamp = Math.floor(Date.now() / 1000)) =>
  signatureHeaders({ messageId: 'msg_1', timestamp, body }, secrets);

describe('the receiver with Fastify of the page', () => {
  it('keeps the raw body, so that signatures can be verified', async () => {
    const page = readFileSync(new URL('../../../../docs/webhooks-outbound.md', import.meta.url), 'utf8');
    const [, code] = /^\/\/ Fastify\n(.*?)^```$/ms.exec(page)!;
    const secret = newSecret();
    const app = fastify();
    const verify = (raw: Buffer, headers: Record<string, string>, key: string) => verifyWebhook(raw, headers, key).ok;
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- runs the lines of the page, as readers would
    new Function('app', 'verify', 'secret', code!)(app, verify, secret);
    const url = `${await app.listen({ port: 0, host: '127.0.0.1' })}/hook`;
    const post = async (text: string): Promise<number> => {
      const headers = { ...signed([secret]), 'content-type': 'application/json' };
      const answer = await fetch(url, { method: 'POST', headers, body: text });
      await answer.text();
      return answer.status;
    };
    try {
      expect(await post(body)).toBe(200);
      expect(await post(body.replace('push', 'pull'))).toBe(401);
    } finally {
      await app.close();
    }
  });
});

describe('the example for receivers', () => {
  it.each([newSecret(), 'a plain old secret'])('accepts what is signed with its secret, once (%#)', async (secret) => {
    const post = await receiver(secret);
    expect(await post(signed([secret]))).toBe('200 thanks');
    expect(await post(signed([secret]))).toBe('200 seen before');
  });

  it.each(['', 'whsec_', 'whsec_!!!'])(
    'does not start with the secret %j, which anybody could sign with',
    async (secret) => {
      child = spawn(process.execPath, [EXAMPLE, '0'], { env: { ...process.env, WEBHOOK_SECRET: secret } });
      let said = '';
      child.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()));
      const [code] = (await once(child, 'close')) as [number];
      expect([code, said]).toEqual([1, expect.stringContaining('WEBHOOK_SECRET must be')]);
    },
  );

  it('accepts both signatures of a rotation', async () => {
    const [fresh, old] = [newSecret(), newSecret()];
    const post = await receiver(old);
    expect(await post(signed([fresh, old]))).toBe('200 thanks');
  });

  it('refuses another secret, another body, another time and no signature', async () => {
    const secret = newSecret();
    const post = await receiver(secret);
    const refused = '401 wrong signature';
    expect(await post(signed([newSecret()]))).toBe(refused);
    expect(await post(signed([secret]), body.replace('push', 'pull'))).toBe(refused);
    expect(await post(signed([secret], Math.floor(Date.now() / 1000) - 301))).toBe(refused);
    expect(await post({ ...signed([secret]), 'webhook-id': 'msg_2' })).toBe(refused);
    expect(await post({})).toBe(refused);
  });
});
