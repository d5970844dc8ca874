import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { Verb } from './verb-table.js';

/** Prints the schema with which editors complete and check a kind of file, with the names of the organisation. */
export const schemaVerb = (name: string, kind: string): Verb => ({
  usage: 'schema',
  does: `print the JSON Schema of ${kind} for editors, with the names of your organisation`,
  options: name === 'workflow.json' ? [['--tests', 'the schema of test files (name.test.yaml)']] : [],
  run: async (shell, _, { tests }) =>
    shell.print(
      stringifyJson(await shell.call<object>('GET', `/api/v1/schemas/${tests ? 'workflow-test.json' : name}`), 2),
    ),
});
