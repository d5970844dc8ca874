import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';

/** The log proves that it was not changed: its Merkle trees are signed from time to time. */
export const sealEvents = {
  'log.sealed': defineEvent({
    description:
      'A checkpoint of the log was signed: the size and root of a Merkle tree over its events. Keep a copy elsewhere, for instance with an outbound webhook, to prove later that nothing before it was changed.',
    system: true,
    data: Type.Object({
      tree: Type.String({
        description: '`log` for the tree over all events, or the id of an organisation for the tree over its own',
      }),
      size: Type.Integer({ minimum: 1, description: 'events in the tree' }),
      root: Type.String({ description: 'base64 of the root (RFC 6962, SHA-256)' }),
      key: Type.Integer({ minimum: 1, description: 'number of the signing key' }),
      note: Type.String({ description: 'signed note (c2sp.org/tlog-checkpoint)' }),
    }),
    example: {
      tree: 'log',
      size: 10_000,
      root: 'XcnaeacGWamtVZy3Ad7ZoqvZgjqtL0lgz+Nw7/RgQyg=',
      key: 1,
      note: 'millrace-0f1e2d3c4b5a6978/log\n10000\nXcnaeacGWamtVZy3Ad7ZoqvZgjqtL0lgz+Nw7/RgQyg=\n\n— millrace-0f1e2d3c4b5a6978/log c6MNUw…\n',
    },
  }),
  'log.cosigned': defineEvent({
    description:
      'A witness signed a checkpoint of the log: it has seen that each checkpoint continues from those that it signed before.',
    system: true,
    data: Type.Object({
      tree: Type.String({ description: 'as in `log.sealed`' }),
      size: Type.Integer({ minimum: 1, description: 'events in the tree' }),
      cosignatures: Type.Array(Type.String(), {
        minItems: 1,
        description: 'signature lines (c2sp.org/tlog-cosignature), to be put below those of the note',
      }),
    }),
    example: { tree: 'log', size: 10_000, cosignatures: ['— witness.example.com/w1 T4gs7QAAAABn…'] },
  }),
  'log.truncated': defineEvent({
    description:
      'Stands in a copied log for an event that retention had removed before: its hash is its leaf, so that the copy has the same trees.',
    system: true,
    data: Type.Object({ leaf: Type.String({ description: 'base64 of the leaf hash of the event that was removed' }) }),
    example: { leaf: 'XcnaeacGWamtVZy3Ad7ZoqvZgjqtL0lgz+Nw7/RgQyg=' },
  }),
  'log.key_rotated': defineEvent({
    description:
      'Checkpoints are signed with a new key from now on. The next checkpoint of each tree is signed with the old key too and names the new one.',
    system: true,
    data: Type.Object({ key: Type.Integer({ minimum: 2, description: 'number of the new signing key' }) }),
    example: { key: 2 },
  }),
} as const;
