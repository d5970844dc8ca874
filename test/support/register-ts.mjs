/**
 * Runs TypeScript in a plain Node process, for tests and tools that need one of their own:
 *
 *   node --conditions=source --import ./test/support/register-ts.mjs file.ts
 *
 * `--conditions=source` makes `#libs/…` and `#apps/…` point at the sources rather than at `dist/`.
 */
import { register } from 'node:module';

process.setSourceMapsEnabled(true);
register('./ts-loader.mjs', import.meta.url);
