import { type Static, Type } from '@sinclair/typebox';

const tree = Type.String({ description: '`log`, or the id of an organisation' });

export const VerificationAnswer = Type.Object(
  {
    ok: Type.Boolean({ description: 'nothing was changed' }),
    tree,
    origin: Type.String({ description: 'first line of the checkpoints' }),
    size: Type.Integer({ description: 'events in the tree' }),
    root: Type.String({ description: 'base64 of the root over the log as it is now' }),
    truncated: Type.Integer({ description: 'events that retention removed: their kept hashes prove them' }),
    checkpoints: Type.Integer({ description: 'signed checkpoints that were checked' }),
    findings: Type.Array(
      Type.Object({
        kind: Type.String({
          description:
            '`changed`, `missing`, `reordered`, `surplus`, `cut`, `other_key`, `bad_signature`, `other_root` or `kept_hashes`',
        }),
        index: Type.Integer({ description: 'place in the tree, from 0' }),
        position: Type.Optional(Type.String()),
        eventId: Type.Optional(Type.String()),
        type: Type.Optional(Type.String()),
        stream: Type.Optional(Type.String()),
        revision: Type.Optional(Type.String()),
        count: Type.Optional(Type.Integer({ description: 'events that a cut took away' })),
        detail: Type.String(),
      }),
      { description: 'The first hundred, in the order of the tree.' },
    ),
    more: Type.Integer({ description: 'findings that are not listed' }),
  },
  { $id: 'VerificationAnswer' },
);

export const CheckpointAnswer = Type.Object(
  {
    tree,
    size: Type.Integer(),
    root: Type.String({ description: 'base64' }),
    key: Type.Integer({ description: 'number of the signing key' }),
    note: Type.String({ description: 'signed note (c2sp.org/tlog-checkpoint)' }),
  },
  { $id: 'CheckpointAnswer' },
);
export type CheckpointAnswer = Static<typeof CheckpointAnswer>;

export const KeysAnswer = Type.Object(
  { tree, origin: Type.String(), keys: Type.Array(Type.String({ description: '`name+id+key`' })) },
  { $id: 'AuditKeysAnswer' },
);
export type KeysAnswer = Static<typeof KeysAnswer>;

export const ProofAnswer = Type.Object(
  {
    eventId: Type.String(),
    tree,
    index: Type.Integer(),
    size: Type.Integer({ description: 'of the tree that the checkpoint covers' }),
    leaf: Type.String({ description: 'base64 of the hash of the event as the log has it now' }),
    truncated: Type.Boolean({ description: 'retention removed the event: `leaf` is the hash that is kept of it' }),
    bytes: Type.Optional(
      Type.String({ description: 'base64 of the bytes that are hashed; absent where not all of the event is shown' }),
    ),
    proof: Type.String({ description: 'c2sp.org/tlog-proof' }),
  },
  { $id: 'ProofAnswer' },
);
export type ProofAnswer = Static<typeof ProofAnswer>;

export const ConsistencyAnswer = Type.Object(
  { tree, from: Type.Integer(), to: Type.Integer(), hashes: Type.Array(Type.String({ description: 'base64' })) },
  { $id: 'ConsistencyAnswer' },
);
export type ConsistencyAnswer = Static<typeof ConsistencyAnswer>;
