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

const project = (displayName, testMatch, testTimeout) => ({
  displayName,
  testMatch,
  testTimeout,
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', swc] },
  moduleNameMapper: {
    '^#(libs|apps)/(.*)\\.js$': '<rootDir>/$1/$2.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
});

const roots = ['apps', 'libs', 'test'];
const matching = (suffix, not = '') => roots.map((root) => `<rootDir>/${root}/**/${not}${suffix}`);

export default {
  projects: [
    { ...project('unit', matching('!(*.int|*.e2e).spec.ts')) },
    { ...project('int', matching('*.int.spec.ts')) },
    { ...project('e2e', matching('*.e2e.spec.ts')) },
  ],
};
