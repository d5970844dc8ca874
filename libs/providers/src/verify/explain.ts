import { parseAsWritten, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import type { Explanation, InboundRequest, ProviderContext } from '#libs/plugin-sdk/src/define-provider.js';
import type { Declaration, HmacScheme } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';

import type { KeyParts } from './proofs/compile-scheme.js';
import { DeclaredSender } from './declared-sender.js';

/** What might be different, one thing at a time, and what to do if that is it. */
interface Attempt {
  readonly hint: string;
  readonly declaration?: Declaration;
  readonly request?: InboundRequest;
  readonly context?: Partial<ProviderContext>;
}

/** Which part of a request did not fit, and what would have made it fit. For the owner of an integration: no values, only lengths. */
export async function explain(
  sender: DeclaredSender,
  parts: KeyParts,
  request: InboundRequest,
  context: ProviderContext,
): Promise<Explanation> {
  const finding = await sender.find(request, context);
  const wants = sender.proof.wants;
  const found = Object.fromEntries(
    Object.entries(request.headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, value.length]])),
  );
  if (finding.ok) return { wants, found, hints: [] };
  const hints: string[] = [];
  for (const attempt of attempts(sender.declaration, request, context)) {
    const { declaration = sender.declaration } = attempt;
    try {
      const other = new DeclaredSender(declaration, parts);
      const outcome = await other.find(attempt.request ?? request, { ...context, ...attempt.context });
      // A right signature that is late was made that way too.
      if (outcome.ok || (outcome.reason === 'stale' && finding.reason !== 'stale')) hints.push(attempt.hint);
    } catch {
      // What cannot even be tried is not it.
    }
  }
  return { failed: finding.failed, wants, found, hints };
}

function* attempts(declaration: Declaration, request: InboundRequest, context: ProviderContext): Generator<Attempt> {
  const { verify } = declaration;
  if (context.expiredSecrets?.length)
    yield {
      hint: 'The signature uses an earlier secret that is no longer valid. Enter the new secret at the sender.',
      context: { secrets: context.expiredSecrets },
    };
  yield* otherBodies(request);
  yield* otherUrls(request, context);
  if (verify.kind === 'hmac') yield* otherKeys(declaration, verify);
  if (verify.kind === 'hmac' || verify.kind === 'ed25519' || verify.kind === 'ecdsa')
    yield* otherWritings(declaration, verify as HmacScheme);
}

function* otherBodies(request: InboundRequest): Generator<Attempt> {
  const { rawBody } = request;
  const text = rawBody.toString('utf8');
  const withBody = (body: string): InboundRequest => ({ ...request, rawBody: Buffer.from(body) });
  const end = /\r?\n$/.exec(text)?.[0];
  if (end !== undefined)
    yield {
      hint: 'It matches without the line break at the end of the body. Save the body exactly as it was sent.',
      request: withBody(text.slice(0, -end.length)),
    };
  else
    for (const ending of ['\n', '\r\n'])
      yield {
        hint: 'It matches with a line break at the end of the body. Save the body exactly as it was sent.',
        request: withBody(text + ending),
      };
  try {
    const written = stringifyJson(parseAsWritten(text));
    if (written !== text)
      yield {
        hint: 'It matches the JSON without whitespace. Save the raw bytes, not parsed JSON.',
        request: withBody(written),
      };
  } catch {
    // Not JSON.
  }
}

function* otherUrls(request: InboundRequest, { publicUrl = '' }: ProviderContext): Generator<Attempt> {
  const [path = '', query] = (request.target ?? '').split(/\?(.*)/s);
  const slashed = path.endsWith('/') ? path.slice(0, -1) : `${path}/`;
  yield {
    hint: `The signature covers the address ${path.endsWith('/') ? 'without' : 'with'} a slash at the end. Give the sender exactly the address of the integration.`,
    request: { ...request, target: query === undefined ? slashed : `${slashed}?${query}` },
  };
  const swapped = publicUrl.startsWith('https:')
    ? publicUrl.replace('https:', 'http:')
    : publicUrl.replace('http:', 'https:');
  yield {
    hint: `The signature covers ${swapped}. Set MILLRACE_PUBLIC_URL to the address that the sender calls.`,
    context: { publicUrl: swapped },
  };
}

function* otherKeys(declaration: Declaration, verify: HmacScheme): Generator<Attempt> {
  for (const key of ['utf8', 'base64', 'hex'] as const)
    if (key !== (verify.key ?? 'utf8'))
      yield {
        hint: `It matches if the secret is read as ${key === 'utf8' ? 'text' : key}: set key to ${key}.`,
        declaration: { ...declaration, verify: { ...verify, key } },
      };
  const { keyPrefix, ...bare } = verify;
  if (keyPrefix !== undefined)
    yield {
      hint: `It matches without keyPrefix: the secret does not begin with ${keyPrefix}.`,
      declaration: { ...declaration, verify: bare },
    };
}

function* otherWritings(declaration: Declaration, verify: HmacScheme): Generator<Attempt> {
  for (const encoding of ['hex', 'base64', 'base64url'] as const)
    if (encoding !== (verify.encoding ?? 'hex'))
      yield {
        hint: `It matches if the signature is read as ${encoding}: set encoding to ${encoding}.`,
        declaration: { ...declaration, verify: { ...verify, encoding } },
      };
  const { prefix, ...bare } = verify;
  if (prefix !== undefined)
    yield { hint: `It matches without the prefix ${prefix}.`, declaration: { ...declaration, verify: bare } };
  const unit = verify.timestamp?.unit ?? 's';
  if (verify.timestamp ?? verify.list?.timestamp)
    for (const other of ['s', 'ms', 'iso'] as const)
      if (other !== unit)
        yield {
          hint: `It matches if the time is read as ${other === 'iso' ? 'RFC 3339' : other}: set timestamp.unit to ${other}.`,
          declaration: { ...declaration, verify: { ...verify, timestamp: { ...verify.timestamp, unit: other } } },
        };
}
