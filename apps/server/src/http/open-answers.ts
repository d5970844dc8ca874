import type { FastifyRequest } from 'fastify';

import { authenticate } from '#libs/access/src/token/authenticate.js';
import type { TokenTable } from '#libs/access/src/token/token.table.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { SEALED } from '#libs/events/src/personal/field-path.js';
import { keysOf, openText } from '#libs/privacy/src/keys/sealed-value.js';
import type { SubjectKeys } from '#libs/privacy/src/keys/subject-keys.js';

import type { Http } from './http.adapter.js';

const SEALED_TEXT = /"(\$sealed:[\w-]+)"/g;

/**
 * Rows hold personal data as the log does: encrypted. What an answer shows of them is decrypted here, for callers of the
 * organisation that it belongs to.
 */
export function openAnswers(http: Http, keys: SubjectKeys): void {
  http.fastify.addHook('onSend', (request, _, payload, done) => {
    const orgId = typeof payload === 'string' && payload.includes(SEALED) ? callerOf(request, http.tokens) : undefined;
    if (orgId === undefined) return done(null, payload);
    opened(payload as string, orgId, keys).then((answer) => done(null, answer), done);
  });
}

/** Of a caller with a token; what others are shown, such as the page of an approval, is decrypted where it is made. */
function callerOf({ headers }: FastifyRequest, tokens: TokenTable | undefined): string | undefined {
  try {
    return tokens && authenticate(headers, tokens, new Date()).orgId;
  } catch {
    return undefined;
  }
}

async function opened(json: string, orgId: string, keys: SubjectKeys): Promise<string> {
  const names = new Set([...json.matchAll(SEALED_TEXT)].flatMap(([, text]) => keysOf(text!)));
  const find = await keys.loadFor(orgId, [...names]);
  return json.replace(SEALED_TEXT, (_, text: string) => stringifyJson(openText(text, find)));
}
