import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import {
  defineProvider,
  type InboundBody,
  type Normalised,
  type Provider,
  type ProviderConfig,
  type ProviderContext,
} from '#libs/plugin-sdk/src/define-provider.js';
import type { JsonObject } from '#libs/plugin-sdk/src/fields.js';
import { isProofHeader } from '#libs/plugin-sdk/src/proof-headers.js';
import type { NeutralEvent, NeutralInput } from '#libs/plugin-sdk/src/scheme/define-preset.js';
import type { Declaration } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';

import { declarationProblems } from './check-declaration.js';
import type { KeyParts } from './proofs/compile-scheme.js';
import { DeclaredSender } from './declared-sender.js';
import { explain } from './explain.js';
import { answerHandshake } from './handshakes.js';

/** What a provider needs to know about its sender. */
export interface DeclaredParts extends KeyParts {
  readonly config: ProviderConfig;
  /** `undefined` where an integration declares nothing: then `otherwise` does all of it. */
  declarationOf(config: JsonObject): Declaration | undefined;
  /** `source` of the events. */
  readonly source?: string;
  /** The sender's events that mean the same as ours. */
  neutral?(given: NeutralInput): NeutralEvent | readonly NeutralEvent[] | undefined;
  readonly keepHeaders: readonly string[];
  /** The provider without a declaration. */
  readonly otherwise: Provider;
}

/** A provider whose senders are declared: by a preset, or by `config` of each integration. */
export function declaredProvider(parts: DeclaredParts): Provider {
  const { otherwise } = parts;
  const known = new WeakMap<JsonObject, DeclaredSender | 'none'>();
  const senderOf = (config: JsonObject): DeclaredSender | undefined => {
    let sender = known.get(config);
    if (sender === undefined) {
      const declaration = parts.declarationOf(config);
      known.set(config, (sender = declaration ? new DeclaredSender(declaration, parts) : 'none'));
    }
    return sender === 'none' ? undefined : sender;
  };
  return defineProvider({
    ...otherwise,
    config: parts.config,
    keepHeaders: parts.keepHeaders,
    verify: (request, context) => {
      const sender = senderOf(context.config);
      return sender ? sender.verify(request, context) : otherwise.verify(request, context);
    },
    readsJson: ({ config }) => senderOf(config)?.declaration.json === true,
    proofHeaders: (config) => senderOf(config)?.proof.headers ?? [],
    elements: (value, { config }) => {
      const sender = senderOf(config);
      return sender?.hasElements === true ? sender.elementsOf(value) : undefined;
    },
    normalise: (body, context) => {
      const sender = senderOf(context.config);
      return sender ? normalised(sender, body, context, parts) : otherwise.normalise(body, context);
    },
    respond: (_, { eventIds, duplicate }, { config }) => {
      const answer = senderOf(config)?.declaration.answer;
      if (!answer) return undefined;
      const { status, contentType = 'application/json; charset=utf-8' } = answer;
      const body = answer.body ?? (status === 204 ? '' : stringifyJson({ eventIds, duplicate }));
      return { status, contentType, body };
    },
    handshake: (request, context) => {
      const sender = senderOf(context.config);
      return sender?.declaration.handshake === undefined ? undefined : answerHandshake(sender, request, context);
    },
    checkSecret: (secret, config) => {
      const declaration = parts.declarationOf(config);
      return declaration && new DeclaredSender(declaration, parts).proof.secretProblem?.(secret);
    },
    checkIntegration: (config, hasSecret) => problemsOf(parts.declarationOf(config), hasSecret, parts),
    described: (config) => parts.declarationOf(config)?.verify as JsonObject | undefined,
    explain: async (request, context) => {
      const sender = senderOf(context.config);
      if (sender) return explain(sender, parts, request, context);
      const found = Object.entries(request.headers).map(([name, value]) => [name, value?.length ?? 0] as const);
      return { wants: otherwise.wants ?? '', found: Object.fromEntries(found), hints: [] };
    },
    signRequest: (request, context) => {
      const sender = senderOf(context.config);
      const [key] = context.secrets;
      return sender && key !== undefined ? sender.sign(request, context, { key, now: context.now }) : undefined;
    },
  });
}

/** Headers that are worth keeping with the events of a sender: what is read from them. */
export function headersRead({ read = {} }: Declaration): readonly string[] {
  const sources = [read.eventType, read.deliveryId, read.occurredAt].flat().filter((one) => one !== undefined);
  return sources
    .filter((source) => source.startsWith('header:'))
    .map((source) => source.slice('header:'.length).toLowerCase())
    .filter((name) => !isProofHeader(name));
}

function normalised(
  sender: DeclaredSender,
  body: InboundBody,
  context: ProviderContext,
  { source, neutral, otherwise }: DeclaredParts,
): Normalised {
  const { value, kind, request, index } = body;
  const view = sender.view(request, context);
  const { eventType, deliveryId, timestamp } = sender.read(view, {
    value,
    index: index ?? (kind === 'json' ? undefined : 0),
  });
  const name = eventType ?? asUndeclared(otherwise, body, context);
  const { headers } = request;
  const found = neutral?.({ value, eventType: name, headers });
  const meant = found === undefined ? [] : [found].flat();
  const events = meant.length > 0 ? meant : [{ type: 'webhook.received', subject: '', data: {} }];
  const action = meant[0]?.action;
  const payload = sender.maskedPayload(view, { value, index });
  const retry = sender.retryOf(view);
  return {
    deliveryId: deliveryId ?? headers['idempotency-key'],
    eventType: name,
    ...(action !== undefined && { action }),
    events: events.map(({ type, subject, data, timestamp: when }: NeutralEvent) => ({
      type,
      subject,
      data,
      timestamp: when ?? timestamp,
    })),
    ...(source !== undefined && { source }),
    ...(retry !== undefined && { retry }),
    ...(payload !== undefined && { payload }),
  };
}

/** Where nothing says what the event is called, it has the name that it would have without a declaration. */
function asUndeclared(otherwise: Provider, body: InboundBody, context: ProviderContext): string {
  const made = otherwise.normalise(body, context);
  return 'unreadable' in made ? 'webhook' : made.eventType;
}

function problemsOf(declaration: Declaration | undefined, hasSecret: boolean | undefined, parts: KeyParts) {
  if (!declaration) return [];
  const found = declarationProblems(declaration).map(({ pointer, detail }) => ({
    pointer: `/config${pointer}`,
    detail,
  }));
  if (found.length > 0 || hasSecret === undefined) return found;
  const { proof } = new DeclaredSender(declaration, parts);
  const adopts = declaration.handshake?.kind === 'asana' || declaration.handshake?.kind === 'notion';
  if (proof.needsSecret && !hasSecret && !adopts)
    return [{ pointer: '/secret', detail: '"secret" is required: without it no request can be verified.' }];
  if (!proof.needsSecret && hasSecret)
    return [{ pointer: '/secret', detail: 'Must be left out: this sender is verified without a secret.' }];
  return [];
}
