// Runs before anything is installed: imports node: only, and syntax that old Nodes can at least parse.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

const NEEDED = [20, 19];

/** Ends the process with a message that says what to do, unless this Node can run Millrace. */
export function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])) return;
  fail(
    `Millrace needs Node.js ${NEEDED.join('.')} or newer; this is ${process.versions.node}. Install a newer one and try again.`,
  );
}

/** Installs exactly what package-lock.json says, if node_modules does not already hold it. */
export function requireDependencies({ development }) {
  const missing = firstMissing(development);
  if (missing === undefined) return;
  console.error(`Installing dependencies (${missing}) …`);
  const npm = process.env.npm_execpath;
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error', ...(development ? ['--include=dev'] : [])];
  const { status } =
    npm && /\.c?js$/.test(npm)
      ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: ['ignore', 2, 2] })
      : spawnSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
  if (status !== 0) fail('npm ci failed; see its message above. Fix the cause and run the same command again.');
}

/**
 * Why node_modules is not what package-lock.json asks for. Contents are compared, not times: a checkout makes every
 * file new, and an interrupted install leaves npm's own record behind or missing.
 */
function firstMissing(development) {
  const lock = packagesOf(join(root, 'package-lock.json'));
  const record = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(record)) return 'none are installed';
  const installed = packagesOf(record);
  for (const [path, wanted] of Object.entries(lock)) {
    if (path === '' || wanted.optional || wanted.devOptional || (wanted.dev && !development) || wanted.link) continue;
    if (installed[path]?.version !== wanted.version)
      return `${path.replace('node_modules/', '')} is not at ${wanted.version}`;
  }
  return undefined;
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages ?? {};
  } catch (error) {
    fail(
      `${file} cannot be read (${error.message}). Restore it from the repository, or delete node_modules, and try again.`,
    );
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
