/** Three projects by the role in a file's name: unit (no I/O), int (one real service), e2e (the whole system). */
const swc = {
  jsc: {
    target: 'es2022',
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
    keepClassNames: true,
  },
  module: { type: 'es6' },
  sourceMaps: 'inline',
};

const project = (displayName, testMatch) => ({
  displayName,
  testMatch,
  testEnvironment: '<rootDir>/test/support/jest/node-environment.mjs',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', swc] },
  moduleNameMapper: {
    '^#(libs|apps)/(.*)\\.js$': '<rootDir>/$1/$2.ts',
    // As package.json exports them: the example of a third party's plug-in is loaded as it is.
    '^millrace/plugin-sdk$': '<rootDir>/libs/plugin-sdk/index.ts',
    '^millrace/plugin-sdk/testing$': '<rootDir>/libs/plugin-sdk/testing/describe-provider.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
});

/** Specs with a real service share one PostgreSQL; runs without them start none. */
const withPostgres = {
  globalSetup: '<rootDir>/test/support/jest/global-setup.mjs',
  globalTeardown: '<rootDir>/test/support/jest/global-teardown.mjs',
};

/** Specs of one stage share a world: what they import is loaded once. */
const grouped = (atLeast) => ({ runner: ['<rootDir>/test/support/jest/group-runner.mjs', { atLeast }] });

const roots = ['apps', 'libs', 'test'];
const matching = (suffix, not = '') => roots.map((root) => `<rootDir>/${root}/**/${not}${suffix}`);

export default {
  testSequencer: '<rootDir>/test/support/jest/longest-first.mjs',
  maxWorkers: 2,
  maxConcurrency: 2,
  // Ends what hangs, on however busy a machine.
  testTimeout: 300_000,
  workerGracefulExitTimeout: 30_000,
  projects: [
    { ...project('unit', matching('!(*.int|*.e2e).spec.ts')), ...grouped(12) },
    { ...project('int', matching('*.int.spec.ts')), ...grouped(1), ...withPostgres },
    { ...project('e2e', matching('*.e2e.spec.ts')), ...withPostgres },
  ],
};
