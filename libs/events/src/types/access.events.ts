import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';

const tokenId = Type.String({ description: 'tok_…' });
const Role = Type.Union((['admin', 'designer', 'integrator', 'auditor'] as const).map((role) => Type.Literal(role)));
const example = 'tok_01jq5x1d0wkz4s3v2n8m7b6c5a';
const organisationId = 'org_01jq5x1d0wkz4s3v2n8m7b6c5a';

/** Organisations and API tokens. A token itself is never in the log: only its SHA-256, which cannot be turned back. */
export const accessEvents = {
  'organisation.created': defineEvent({
    description: 'An organisation was created. Tokens, events and views belong to exactly one.',
    system: true,
    data: Type.Object({ organisationId: Type.String(), name: Type.String() }),
    example: { organisationId, name: 'default' },
  }),
  'organisation.renamed': defineEvent({
    description: 'An organisation got another name.',
    system: true,
    data: Type.Object({ organisationId: Type.String(), name: Type.String() }),
    example: { organisationId, name: 'Acme' },
  }),
  'organisation.archived': defineEvent({
    description: 'An organisation was archived: its tokens are refused, and nothing new begins in it.',
    system: true,
    data: Type.Object({ organisationId: Type.String() }),
    example: { organisationId },
  }),
  'organisation.restored': defineEvent({
    description: 'An archived organisation was restored.',
    system: true,
    data: Type.Object({ organisationId: Type.String() }),
    example: { organisationId },
  }),
  'token.created': defineEvent({
    description: 'An API token was created. The token was shown once and is not stored.',
    system: true,
    hidden: ['hash'],
    data: Type.Object({
      tokenId,
      name: Type.String(),
      /** SHA-256 of the token's text, hex. */
      hash: Type.String({ pattern: '^[0-9a-f]{64}$' }),
      roles: Type.Array(Role, { minItems: 1 }),
      /** RFC 3339 UTC; a token without it is valid until it is revoked. */
      expiresAt: Type.Optional(Type.String()),
      /** The one that the operator sets or finds at the first start; setting another replaces it. */
      bootstrap: Type.Optional(Type.Literal(true)),
    }),
    example: {
      tokenId: example,
      name: 'ci',
      hash: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
      roles: ['integrator'],
      expiresAt: '2027-01-01T00:00:00.000Z',
    },
  }),
  'token.updated': defineEvent({
    description: 'Name, roles or expiry of an API token changed.',
    system: true,
    data: Type.Object({
      tokenId,
      name: Type.String(),
      roles: Type.Array(Role, { minItems: 1 }),
      /** RFC 3339 UTC; a token without it is valid until it is revoked. */
      expiresAt: Type.Optional(Type.String()),
    }),
    example: { tokenId: example, name: 'ci', roles: ['auditor'], expiresAt: '2027-01-01T00:00:00.000Z' },
  }),
  'token.revoked': defineEvent({
    description: 'An API token was revoked.',
    system: true,
    data: Type.Object({ tokenId }),
    example: { tokenId: example },
  }),
} as const;

const secretId = Type.String({ description: 'sec_…' });
const secretName = Type.String({ description: 'how expressions name it' });
const ids = { secretId: 'sec_01jq5x1d0wkz4s3v2n8m7b6c5a', name: 'API_KEY' };

/** The secrets of an organisation. The value is not in the log: it is stored encrypted, under a reference. */
export const secretEvents = {
  'secret.set': defineEvent({
    description: 'A secret got a value.',
    system: true,
    hidden: ['secret'],
    data: Type.Object({
      secretId,
      name: secretName,
      secret: Type.String({ description: 'reference into the store of secrets' }),
    }),
    example: { ...ids, secret: `${ids.secretId}/value/q0F3` },
  }),
  'secret.removed': defineEvent({
    description: 'A secret was removed, and its value deleted.',
    system: true,
    data: Type.Object({ secretId, name: secretName }),
    example: ids,
  }),
} as const;
