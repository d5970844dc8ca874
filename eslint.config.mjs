// Type-aware lint. Formatting is prettier's; import directions are dependency-cruiser's.
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['dist/', 'dist.*/', 'node_modules/', '.millrace/', 'coverage/', '**/fixtures/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      // Only where the import would vanish anyway: classes that decorators or injection need at run time stay values,
      // which `verbatimModuleSyntax` and `emitDecoratorMetadata` together already decide.
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none' },
      ],
      // Values of a union or of `unknown` in a message are a matter of taste; objects in one are a mistake.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        {
          allowNumber: true,
          allowBoolean: true,
          allowNullish: true,
          allowNever: true,
          allow: [{ name: ['Error', 'URL', 'URLSearchParams'], from: 'lib' }],
        },
      ],
      // An implementation of an asynchronous port need not wait for anything itself.
      '@typescript-eslint/require-await': 'off',
      // A method is passed unbound in assertions and command tables; those that use `this` are called on their object.
      '@typescript-eslint/unbound-method': 'off',
      eqeqeq: ['error', 'always'],
      'no-console': 'error',
      'no-param-reassign': 'off',
      'prefer-const': 'error',
    },
  },
  {
    // Specs look into parsed JSON of answers: there `any` is what the thing is.
    files: ['**/*.spec.ts', 'test/**/*.ts', 'libs/*/testing/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-explicit-any': 'off',
    },
  },
  {
    // What people and senders write keeps the digits of its numbers. Exempt: what reads and writes JSON exactly itself.
    files: ['libs/*/src/**/*.ts', 'apps/server/src/**/*.ts', 'apps/cli/src/**/*.ts'],
    ignores: ['**/*.spec.ts', '**/contract/**', 'libs/kernel/src/text/exact-json.ts', 'libs/kernel/src/json.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: "MemberExpression[object.name='JSON'][property.name=/^(parse|stringify)$/]",
          message:
            'Use parseJson, parseAsWritten or stringifyJson of libs/kernel/src/text/exact-json.ts: JSON changes long numbers.',
        },
      ],
    },
  },
  {
    // Programs for a terminal print.
    files: ['test/bench/**', 'test/crash/**', 'test/flow/**', 'test/fuzz/**', 'apps/cli/**'],
    rules: { 'no-console': 'off' },
  },
);
