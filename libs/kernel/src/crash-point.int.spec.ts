import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { describe, expect, it } from '@jest/globals';

async function passages(target: string): Promise<{ out: string; signal: NodeJS.Signals | null; code: number | null }> {
  const program = `
    const { crashPoint } = await import('./libs/kernel/src/crash-point.ts');
    for (let i = 1; i <= 3; i++) { crashPoint('here'); require('fs').writeSync(1, String(i)); }`;
  const child = spawn(
    process.execPath,
    [
      '--conditions=source',
      '--no-warnings',
      '--import',
      './test/support/register-ts.mjs',
      '--input-type=module',
      '-e',
      `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url); ${program}`,
    ],
    { env: { ...process.env, NODE_OPTIONS: '', MILLRACE_CRASH_AT: target } },
  );
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  await once(child, 'close');
  return { out, signal: child.signalCode, code: child.exitCode };
}

describe('a crash point', () => {
  it('kills the process at the first passage, with nothing after it', async () => {
    expect(await passages('here')).toEqual({ out: '', signal: 'SIGKILL', code: null });
  });

  it('kills at the passage that was named', async () => {
    expect(await passages('here:3')).toEqual({ out: '12', signal: 'SIGKILL', code: null });
  });

  it('does nothing when another one is named', async () => {
    expect(await passages('elsewhere')).toEqual({ out: '123', signal: null, code: 0 });
  });
});
