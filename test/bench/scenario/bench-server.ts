import { TestServer } from '../../support/server.js';

/** Fixed, so that a later server reads the secrets of an earlier one on the same database. */
const SECRET_KEY = Buffer.alloc(32, 7).toString('base64');

export const startServer = (databaseUrl: string, env: Readonly<Record<string, string>> = {}): Promise<TestServer> =>
  TestServer.start({ databaseUrl, env: { LOG_LEVEL: 'warn', MILLRACE_SECRET_KEY: SECRET_KEY, ...env } });

/** Kills it: nothing of it is needed any more. */
export async function discard(server: TestServer | undefined): Promise<void> {
  await server?.kill();
  // Removes its folder.
  await server?.stop();
}
