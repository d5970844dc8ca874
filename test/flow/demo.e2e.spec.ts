import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { expect, it } from '@jest/globals';

import { builtInProviders } from '#libs/providers/src/built-in.js';

import { OpenIdStandIn } from '../support/openid.js';
import { ROOT } from '../support/server.js';
import { senders } from './demo-senders.js';

it('the demo sends a request of every provider all the way to its delivery', async () => {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(
    process.execPath,
    ['--conditions=source', '--no-warnings', '--import', './test/support/register-ts.mjs', 'test/flow/demo.ts'],
    { cwd: ROOT, env: { PATH, HOME } },
  );
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (out += data.toString()));
  const [code] = (await once(child, 'close')) as [number];
  expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/\nEverything arrived, once[.]\n$/) });
  const openId = await OpenIdStandIn.start();
  const all = senders(openId);
  await openId.stop();
  for (const { name } of all) expect(out).toContain(`\n${name}\n  received `);
  // But for the one that receives nothing.
  const shown = new Set([...all.map(({ provider }) => provider), 'mcp_server']);
  expect([...shown].sort()).toEqual(builtInProviders.providers!.map(({ name }) => name).sort());
});
