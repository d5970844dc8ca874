import { providerChecks, type ProviderUnderTest } from './provider-checks.js';

export type { ExpectedDelivery, ProviderUnderTest } from './provider-checks.js';

/** Those of a test runner: Jest's and Vitest's globals, or `import { describe, it } from 'node:test'`. */
export interface TestRunner {
  describe(title: string, body: () => void): unknown;
  it(title: string, body: () => Promise<void>): unknown;
}

/**
 * The tests that every provider has to pass, over saved requests of its sender: what it believes and refuses, what it
 * makes of them, and that nothing makes it throw.
 *
 * ```ts
 * describeProvider({
 *   provider: acme,
 *   fixtures: new URL('./fixtures/', import.meta.url),
 *   secret: 'the-secret-of-the-fixtures',
 *   expected: { 'alert.http': { types: ['webhook.received'], deliveryId: 'a-1' } },
 * });
 * ```
 */
export function describeProvider(given: ProviderUnderTest, runner: TestRunner = globalRunner()): void {
  runner.describe(`provider ${given.provider.name}`, () => {
    for (const { title, run } of providerChecks(given)) runner.it(title, run);
  });
}

function globalRunner(): TestRunner {
  const { describe, it } = globalThis as unknown as Partial<TestRunner>;
  if (!describe || !it)
    throw new Error(
      "describeProvider finds no test runner: pass { describe, it } as its second argument, from 'node:test' for instance.",
    );
  return { describe, it };
}
