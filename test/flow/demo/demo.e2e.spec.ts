import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { expect, it } from '@jest/globals';

import { builtInProviders } from '#libs/providers/src/built-in.js';

import { OpenIdStandIn } from '../../support/openid.js';
import { ROOT } from '../../support/server.js';
import { senders } from './demo-senders.js';

it('the demo takes a request of every provider to its delivery, and an issue to the answer of an agent', async () => {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(
    process.execPath,
    ['--conditions=source', '--no-warnings', '--import', './test/support/register-ts.mjs', 'test/flow/demo/demo.ts'],
    { cwd: ROOT, env: { PATH, HOME } },
  );
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (out += data.toString()));
  const [code] = (await once(child, 'close')) as [number];
  expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/\nEverything arrived, once[.]\n$/) });
  // The agent's part, to its end, and where the trace shows it.
  const lines = ['comment on issue #1: Run the job again', 'message in #ops: answering: I answered'];
  for (const line of lines) expect(out).toContain(line);
  const trace = out.slice(out.indexOf(lines[1]!));
  for (const type of ['issue.created', 'agent.approval_decided', 'tracker.issue_commented', 'message.sent'])
    expect(trace).toContain(`  ${type} `);
  const openId = await OpenIdStandIn.start();
  const all = senders(openId);
  await openId.stop();
  for (const { name } of all) expect(out).toContain(`\n${name}\n  received `);
  // But for the one that receives nothing.
  const shown = new Set([...all.map(({ provider }) => provider), 'mcp_server']);
  expect([...shown].sort()).toEqual(builtInProviders.providers!.map(({ name }) => name).sort());
});
