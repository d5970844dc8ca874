/**
 * What jest runs for a group of specs: loads each under a title of its own, so that its hooks hold for its tests alone.
 * `specs` comes from `group-runner.mjs`, `circus` from `node-environment.mjs`.
 */
for (const path of specs) {
  let own;
  describe(path, () => {
    own = circus.currentDescribeBlock;
  });
  const root = circus.currentDescribeBlock;
  // What is declared while the file loads belongs to its title. `describe` itself waits for nothing.
  circus.currentDescribeBlock = own;
  try {
    await import(path);
  } catch (error) {
    test('loads', () => {
      throw error;
    });
  }
  circus.currentDescribeBlock = root;
}
