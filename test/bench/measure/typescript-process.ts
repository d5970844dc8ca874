/** Arguments with which a plain Node process runs TypeScript, from the root of the repository. */
export const TYPESCRIPT = [
  '--conditions=source',
  '--no-warnings',
  '--import',
  './test/support/register-ts.mjs',
] as const;
