import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { Shell } from '../shell.js';
import { found } from './integration-verbs.js';

interface RefusedRequest {
  readonly at: string;
  readonly status: number;
  readonly code: string;
  readonly expected: string;
  readonly bodyBytes: number;
  readonly requestId: string;
}

/** `millrace integration refused`: the newest page, the newest request first. */
export async function refused(shell: Shell, given: string, { limit }: { readonly limit?: string }): Promise<void> {
  const { id } = await found(shell, given);
  const query = limit === undefined ? '' : `?limit=${encodeURIComponent(limit)}`;
  const { data } = await shell.call<{ readonly data: readonly RefusedRequest[] }>(
    'GET',
    `/api/v1/integrations/${id}/refused-requests${query}`,
  );
  if (shell.json) return shell.print(stringifyJson(data, 2));
  if (shell.quiet) return data.forEach(({ code }) => shell.print(code));
  if (data.length === 0) return shell.note('No request was refused in the last 7 days.');
  shell.table(
    ['AT', 'STATUS', 'CODE', 'BYTES', 'WHAT TO DO'],
    data.map(({ at, status, code, bodyBytes, expected }) => [at, String(status), code, String(bodyBytes), expected]),
  );
  shell.note('Headers and bodies: --json');
}
