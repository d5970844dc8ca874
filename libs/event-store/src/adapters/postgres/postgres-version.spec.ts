import { expect, it } from '@jest/globals';

import { refuseOldPostgres } from './postgres-version.js';

const answering = (server_version: string) => ({ query: () => Promise.resolve({ rows: [{ server_version }] }) });

it.each(['16.0', '17.5 (Debian 17.5-1)', '18beta1', '20'])('PostgreSQL %s is new enough', async (version) => {
  await expect(refuseOldPostgres(answering(version))).resolves.toBeUndefined();
});

it.each(['15.14', '9.6.24', '14.2 (Debian)'])(
  'PostgreSQL %s is refused, with the version that is needed',
  async (version) => {
    await expect(refuseOldPostgres(answering(version))).rejects.toMatchObject({
      code: 'database.too_old',
      message: expect.stringContaining(`PostgreSQL ${version}; Millrace needs PostgreSQL 16`),
    });
  },
);
