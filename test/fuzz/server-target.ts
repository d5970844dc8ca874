import { randomText } from '#libs/kernel/src/ids.js';
import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { OpenIdStandIn } from '../support/openid.js';
import { TestServer } from '../support/server.js';
import { targets } from './corpus.js';
import type { Place } from './route-input.js';
import { fuzzRoute } from './route-target.js';
import type { TargetOptions, TargetResult } from './target-result.js';

/** As the saved activities have them. */
const APP_ID = '00000000-0000-0000-0000-00000000b07a';
const SERVICE_URL = 'https://smba.trafficmanager.net/emea/';

/** A server of its own with an integration for each target. */
export async function fuzzServer(options: TargetOptions): Promise<TargetResult> {
  const openId = await OpenIdStandIn.start();
  const databaseUrl = process.env['MILLRACE_FUZZ_DATABASE'];
  const server = await TestServer.start({
    // The targets may share a database, and each server has a data folder of its own.
    env: { LOG_LEVEL: 'warn', MILLRACE_SECRET_KEY: Buffer.alloc(32, 7).toString('base64') },
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
  });
  try {
    const places: Place[] = [];
    for (const target of targets()) {
      const customPath = `fuzz-${randomText(8)
        .toLowerCase()
        .replace(/[^a-z0-9]/g, 'x')}`;
      const { provider, secret } = target;
      const isBot = provider.name === 'botframework';
      const config = isBot ? openId.config(APP_ID) : target.config;
      const body = { name: target.name, provider: provider.name, secret, config, customPath };
      const { id, slug } = await server.post<{ id: string; slug: string }>('/api/v1/integrations', body);
      const proof = { authorization: await openId.authorization(APP_ID, SERVICE_URL) };
      places.push({ target, id, slug, customPath, ...(isBot && { proof }) });
    }
    const isStored = (eventId: string): Promise<boolean> =>
      waitFor(eventId, () =>
        server.get(`/api/v1/events/${eventId}`).then(
          () => true as const,
          () => false,
        ),
      ).catch(() => false);
    const result = await fuzzRoute({
      ...options,
      ...(options.slowMs && { slowMs: 1_000 }),
      url: server.url,
      places,
      lanes: 32,
      isStored,
    });
    // What the server itself calls a fault is one, also where the sender saw nothing of it.
    const faults = server.output.split('\n').filter((line) => /"level":(50|60)/.test(line));
    const failures = faults
      .slice(0, 5)
      .map((what) => ({ seed: options.seed, what: `the server said: ${what.slice(0, 500)}` }));
    return { ...result, failures: [...result.failures, ...failures] };
  } finally {
    await server.stop();
    await openId.stop();
  }
}
