// Runs a TypeScript program of test/ against the built server: `node test/tool.mjs test/bench/run.ts …`. Installs and
// builds first if needed, so that `npm run demo` works on a fresh clone.
import { spawnSync } from 'node:child_process';

import { requireDependencies, requireNode, root } from '../apps/server/bin/installed.mjs';

requireNode();
requireDependencies({ development: true });
const { build } = await import('../apps/server/bin/build.mjs');
await build();
const { status } = spawnSync(
  process.execPath,
  ['--conditions=source', '--no-warnings', '--import', './test/support/register-ts.mjs', ...process.argv.slice(2)],
  { cwd: root, stdio: 'inherit' },
);
process.exitCode = status ?? 1;
