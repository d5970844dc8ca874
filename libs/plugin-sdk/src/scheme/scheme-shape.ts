import { type Static, type TProperties, type TSchema, Type } from '@sinclair/typebox';

/**
 * How a sender proves its requests and what is read from them, as data: `config` of an integration with the provider
 * `generic_webhook`, or a preset. What cannot be said here needs a plug-in.
 */

const closed = <P extends TProperties>(properties: P, options: object = {}) =>
  Type.Object(properties, { ...options, additionalProperties: false });
const oneOf = <T extends string>(values: readonly T[], options: object = {}) =>
  Type.Unsafe<T>({ type: 'string', enum: [...values], ...options });
const optional = <T extends TSchema>(schema: T) => Type.Optional(schema);

/** What may stand in a header's name, by RFC 9110. */
const headerName = Type.String({
  pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$",
  expected: 'the name of a header',
  examples: ['X-Acme-Signature'],
});
const jmespath = Type.String({
  minLength: 1,
  maxLength: 4096,
  expected: 'a JMESPath expression',
  examples: ['auth.sig'],
});
const tolerance = Type.String({
  expected: 'a duration from 30s to 1h',
  description: 'The allowed difference between the signed time and now. Default 5m.',
  examples: ['5m'],
});
const text = (maxLength: number) => Type.String({ minLength: 1, maxLength });

const encoding = oneOf(['hex', 'base64', 'base64url'], { description: 'Encoding of the signature. Default hex.' });
const digest = oneOf(['sha256', 'sha512', 'sha1'], { description: 'Default sha256.' });
const signed = Type.String({
  minLength: 1,
  maxLength: 1024,
  description:
    'What is signed. Placeholders: {body}, {timestamp}, {id}, {method}, {url}, {path}, {query}, {header:NAME}, {json:JMESPath}, {form}, {headers:NAME}; {{ is a brace. Default {body}.',
  examples: ['{timestamp}.{body}'],
});
const timestamp = closed(
  {
    header: optional(headerName),
    field: optional(jmespath),
    unit: optional(
      oneOf(['s', 'ms', 'iso'], { description: 'Seconds or milliseconds since 1970, or RFC 3339. Default s.' }),
    ),
    tolerance: optional(tolerance),
  },
  { description: 'Where to find the signed time.' },
);
const list = closed(
  {
    separator: optional(text(3)),
    assign: optional(text(3)),
    signature: text(40),
    timestamp: optional(text(40)),
  },
  { description: 'The header is a list such as `t=1,v1=a,v1=b`: the names of the signature and of the time in it.' },
);
const bodyHash = closed(
  {
    from: Type.String({
      pattern: "^(query:.{1,100}|header:[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100})$",
      expected: 'query:NAME or header:NAME',
    }),
    algorithm: optional(digest),
    encoding: optional(encoding),
  },
  { description: 'Where to find a hash of the body. If present, it must be the hash of the raw body.' },
);
const acceptWeak = Type.Boolean({ description: 'Accept sha1, or a signature that does not cover the body.' });
const publicKey = Type.String({
  minLength: 32,
  maxLength: 4096,
  expected: 'a public key: PEM, base64 of its SPKI, or for ed25519 32 bytes in hex or base64',
});

const hmac = closed(
  {
    kind: Type.Literal('hmac'),
    algorithm: optional(digest),
    header: optional(headerName),
    field: optional(jmespath),
    encoding: optional(encoding),
    prefix: optional(text(40)),
    list: optional(list),
    signed: optional(signed),
    key: optional(oneOf(['utf8', 'base64', 'hex'], { description: 'Encoding of the secret. Default utf8.' })),
    keyPrefix: optional(text(40)),
    timestamp: optional(timestamp),
    id: optional(closed({ header: headerName })),
    bodyHash: optional(bodyHash),
    acceptWeak: optional(acceptWeak),
  },
  { title: 'HMAC' },
);

const publicKeyScheme = <K extends 'ed25519' | 'ecdsa'>(kind: K, title: string) =>
  closed(
    {
      kind: Type.Literal(kind),
      header: headerName,
      encoding: optional(encoding),
      signed: optional(signed),
      timestamp: optional(timestamp),
      publicKey,
      acceptWeak: optional(acceptWeak),
    },
    { title },
  );

const jwt = closed(
  {
    kind: Type.Literal('jwt'),
    header: optional(headerName),
    algorithm: oneOf(['HS256', 'RS256']),
    keysUrl: optional(
      Type.String({
        // Keys that came over an open line prove nothing; the machine itself is none.
        pattern: '^(https://|http://(localhost|127\\.0\\.0\\.1|\\[::1\\])[:/])',
        maxLength: 2048,
        expected: 'an https URL of a JWK set',
      }),
    ),
    issuer: optional(Type.Union([text(500), Type.Array(text(500), { minItems: 1, maxItems: 20 })])),
    audience: optional(text(500)),
    claims: optional(
      Type.Record(text(100), Type.Union([Type.String(), Type.Number(), Type.Boolean()]), {
        description: 'Claims that the token must have, with these values.',
      }),
    ),
    maxAge: optional(
      Type.String({ expected: 'a duration from 30s to 1h', description: 'Of a token without exp, counted from iat.' }),
    ),
    bodyHash: optional(closed({ claim: text(100), algorithm: optional(digest), encoding: optional(encoding) })),
    acceptWeak: optional(acceptWeak),
  },
  { title: 'JWT' },
);

/** The kinds of proof that anybody may declare. */
export const schemeKinds = {
  hmac,
  ed25519: publicKeyScheme('ed25519', 'Ed25519'),
  ecdsa: publicKeyScheme('ecdsa', 'ECDSA P-256 with SHA-256'),
  basic: closed({ kind: Type.Literal('basic'), username: text(200) }, { title: 'HTTP Basic' }),
  header: closed(
    { kind: Type.Literal('header'), header: headerName, prefix: optional(text(40)) },
    { title: 'The secret in a header' },
  ),
  query: closed({ kind: Type.Literal('query'), parameter: text(100) }, { title: 'The secret in the URL' }),
  field: closed({ kind: Type.Literal('field'), field: jmespath }, { title: 'The secret in the body' }),
  jwt,
  none: closed({ kind: Type.Literal('none') }, { title: 'The address alone' }),
} as const;

/** Amazon SNS: only the preset has it, since what is signed depends on the message. */
export interface SnsScheme {
  readonly kind: 'sns';
  readonly topicArn: string;
}

const anyOf = <T>(schemas: Readonly<Record<string, TSchema>>, options: object): TSchema & { static: T } =>
  Type.Unsafe<T>({ anyOf: Object.values(schemas), ...options });

export type DeclaredScheme = {
  [K in keyof typeof schemeKinds]: Static<(typeof schemeKinds)[K]>;
}[keyof typeof schemeKinds];
export type Scheme = DeclaredScheme | SnsScheme;
export type HmacScheme = Static<typeof hmac>;
export type JwtScheme = Static<typeof jwt>;
export type PublicKeyScheme = Static<typeof schemeKinds.ed25519> | Static<typeof schemeKinds.ecdsa>;
export type ListShape = Static<typeof list>;
export type TimestampShape = Static<typeof timestamp>;

const source = text(4096);
const sources = Type.Union([source, Type.Array(source, { minItems: 1, maxItems: 10 })], {
  description: 'header:NAME, query:NAME, hash:body or JMESPath over the body; of several, the first with a value.',
});

const read = closed(
  {
    eventType: optional(sources),
    deliveryId: optional(sources),
    occurredAt: optional(sources),
    each: optional(jmespath),
  },
  { description: 'Where to find the event name, the delivery id, the time, and a list of events.' },
);
export type ReadShape = Static<typeof read>;
export type Sources = Static<typeof sources>;

const echo = closed({
  kind: Type.Literal('echo'),
  method: oneOf(['GET', 'POST']),
  from: source,
  as: Type.String({
    pattern: '^[A-Za-z_][A-Za-z0-9_.-]{0,99}$',
    expected: 'text, or the name of the JSON field that the answer has',
  }),
  require: optional(Type.Record(source, text(1024), { description: 'Sources and the value that each must have.' })),
});
const head = closed({ kind: Type.Literal('head') });

/** What anybody may declare. */
export const handshakeKinds = { echo, head } as const;
/** What presets have beside it. */
export const PRESET_HANDSHAKES = ['zoom', 'discord', 'asana', 'notion', 'sns'] as const;
export type EchoHandshake = Static<typeof echo> & {
  /** The proof of the scheme is needed as well. */
  readonly proved?: boolean;
};
export type Handshake = EchoHandshake | Static<typeof head> | { readonly kind: (typeof PRESET_HANDSHAKES)[number] };

const answer = closed(
  {
    status: Type.Unsafe<200 | 202 | 204>({ type: 'integer', enum: [200, 202, 204] }),
    contentType: optional(
      Type.String({ pattern: '^[a-z]+/[a-z0-9.+-]+(; ?charset=utf-8)?$', expected: 'a media type' }),
    ),
    body: optional(Type.String({ maxLength: 1024 })),
  },
  { description: 'The answer to the sender. Default: 202 and the ids of the events.' },
);
export type AnswerShape = Static<typeof answer>;

/** The keys of `config` with which an integration declares its sender. */
export const schemeConfig = {
  verify: anyOf<DeclaredScheme>(schemeKinds, { description: 'How requests are verified.' }),
  read,
  handshake: anyOf<Static<typeof echo> | Static<typeof head>>(handshakeKinds, {
    description: 'How the sender verifies the address.',
  }),
  answer,
} as const;

/** What is known of a sender: a preset, or `config` of an integration. */
export interface Declaration {
  readonly verify: Scheme;
  readonly read?: ReadShape | undefined;
  readonly handshake?: Handshake | undefined;
  readonly answer?: AnswerShape | undefined;
  /** The body is JSON whatever its content type says. */
  readonly json?: boolean | undefined;
  /** The header in which the sender counts: a number beyond this one announces another try. */
  readonly retries?: { readonly header: string; readonly beyond: number } | undefined;
}
