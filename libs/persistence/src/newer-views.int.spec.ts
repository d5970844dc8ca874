import { expect, it } from '@jest/globals';

import { createTestDatabase } from '../../../test/support/database.js';
import { openDataSource } from './data-source.adapter.js';
import { VERSION } from './version.js';

it('views of a newer program are refused by an older one, which names the version to start', async () => {
  const { url, drop } = await createTestDatabase({ empty: true });
  try {
    const database = await openDataSource({ url });
    expect(await database.query('select version from views.installation')).toEqual([{ version: VERSION }]);
    // As a later version leaves it.
    await database.query(`insert into views.migrations ("timestamp", name) values (9999, 'FromLater0000000009999')`);
    await database.query(`update views.installation set version = '9.1.0'`);
    await database.destroy();
    await expect(openDataSource({ url })).rejects.toMatchObject({
      code: 'database.newer_version',
      message: expect.stringMatching(/made by Millrace 9\.1\.0; this is .*FromLater/),
    });
  } finally {
    await drop();
  }
});
