// Compiles apps/ and libs/ to dist/. Types are checked by `npm run lint`; here they are only stripped, file by file, so
// that a changed file costs one file. An unchanged tree costs one pass over the sources' hashes.
import { createHash } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';

import { root } from './installed.mjs';

const ROOTS = ['apps', 'libs'];
const ASSETS = /\.(json|ya?ml|html|css|svg)$/;
const LEFT_OUT = new Set(['node_modules', 'fixtures', 'bin']);

/** The same as jest.config.mjs: what is tested is what runs. */
const OPTIONS = {
  jsc: {
    target: 'es2022',
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
    keepClassNames: true,
  },
  module: { type: 'es6' },
  sourceMaps: true,
  // The sources are beside the maps, and a server that maps its stack traces keeps the maps in memory.
  inlineSourcesContent: false,
};

const isSource = (name) => (/\.ts$/.test(name) && !/(\.d|\.spec)\.ts$/.test(name)) || ASSETS.test(name);

function* sources(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!LEFT_OUT.has(entry.name)) yield* sources(path);
    } else if (isSource(entry.name)) yield path;
  }
}

/** What a source becomes: `x.ts` gives `x.js` and `x.js.map`, an asset itself. */
const outputsOf = (path) =>
  path.endsWith('.ts') ? [path.replace(/\.ts$/, '.js'), path.replace(/\.ts$/, '.js.map')] : [path];

/** Brings dist/ up to date. Returns how many files had to be compiled. */
export async function build() {
  const dist = join(root, 'dist');
  const compiler = createRequire(import.meta.url).resolve('@swc/core/package.json');
  const recipe = hash(JSON.stringify([OPTIONS, JSON.parse(readFileSync(compiler, 'utf8')).version]));
  const wanted = { recipe, files: {} };
  const texts = new Map();
  for (const folder of ROOTS) {
    if (!existsSync(join(root, folder))) continue;
    for (const path of sources(join(root, folder))) {
      const name = relative(root, path);
      const text = readFileSync(path);
      texts.set(name, text);
      wanted.files[name] = hash(text);
    }
  }
  const built = stampOf(dist);
  const stamp = JSON.stringify(wanted);
  if (JSON.stringify(built) === stamp) return 0;

  const { transform } = await import('@swc/core');
  const next = `${dist}.tmp-${process.pid}`;
  rmSync(next, { recursive: true, force: true });
  let compiled = 0;
  try {
    await Promise.all(
      [...texts].map(async ([name, text]) => {
        const outputs = outputsOf(name);
        mkdirSync(dirname(join(next, name)), { recursive: true });
        const kept =
          built?.recipe === recipe &&
          built.files[name] === wanted.files[name] &&
          outputs.every((output) => existsSync(join(dist, output)));
        if (kept) {
          // Files of dist/ are replaced, never written to: sharing them between the old and the new folder is safe.
          for (const output of outputs) linkSync(join(dist, output), join(next, output));
          return;
        }
        compiled++;
        if (!name.endsWith('.ts')) return writeFileSync(join(next, name), text);
        const { code, map } = await transform(text.toString('utf8'), {
          ...OPTIONS,
          filename: join(root, name),
          sourceFileName: relative(dirname(join(dist, name)), join(root, name)),
        });
        const output = outputs[0];
        writeFileSync(join(next, `${output}.map`), map);
        writeFileSync(join(next, output), `${code}//# sourceMappingURL=${output.split(/[\\/]/).at(-1)}.map\n`);
      }),
    );
    writeFileSync(join(next, '.stamp'), stamp);
    const last = `${dist}.old-${process.pid}`;
    if (existsSync(dist)) renameSync(dist, last);
    renameSync(next, dist);
    rmSync(last, { recursive: true, force: true });
  } catch (error) {
    rmSync(next, { recursive: true, force: true });
    throw error;
  }
  return compiled;
}

function stampOf(dist) {
  try {
    return JSON.parse(readFileSync(join(dist, '.stamp'), 'utf8'));
  } catch {
    // No stamp, or half of one: everything is compiled.
    return undefined;
  }
}

function hash(text) {
  return createHash('sha256').update(text).digest('base64url');
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const began = performance.now();
  const compiled = await build();
  console.error(
    compiled === 0 ? 'Nothing to build.' : `Built ${compiled} files in ${Math.round(performance.now() - began)} ms.`,
  );
}
