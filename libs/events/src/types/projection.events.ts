import { Type } from '@sinclair/typebox';

import { defineEvent } from '../define-event.js';

const rebuildId = Type.String({ description: 'id of the rebuild (reb_…)' });
const projection = Type.String({ description: 'name of the projection' });
const mode = Type.Union([Type.Literal('rebuild'), Type.Literal('verify')], {
  description: '`verify` compares the rows that it makes with the live ones and changes nothing',
});

/** Rows are made from the log again, beside those that are in use. */
export const projectionEvents = {
  'projection.rebuild_requested': defineEvent({
    description: 'The rows of a projection are to be made from the log again, or compared with what the log makes.',
    system: true,
    data: Type.Object({ rebuildId, projection, mode }),
    example: { rebuildId: 'reb_01jq5x1d0wkz4s3v2n8m7b6c5a', projection: 'rules.views', mode: 'rebuild' },
  }),
  'projection.rebuild_ended': defineEvent({
    description:
      'A rebuild or a verification has ended. `rebuilt`: the new rows are in use. `same`, `different`: result of a verification. Otherwise the live rows stay as they were.',
    system: true,
    data: Type.Object({
      rebuildId,
      projection,
      mode,
      outcome: Type.Union([
        Type.Literal('rebuilt'),
        Type.Literal('same'),
        Type.Literal('different'),
        Type.Literal('cancelled'),
        Type.Literal('failed'),
      ]),
      events: Type.Optional(Type.Integer({ minimum: 0, description: 'events that were folded' })),
      position: Type.Optional(Type.String({ description: 'position in the log up to which they were folded' })),
      differing: Type.Optional(Type.Integer({ minimum: 0, description: 'number of rows that differ' })),
      rows: Type.Optional(
        Type.Array(
          Type.Object({
            table: Type.String(),
            key: Type.String({ description: 'key of the row' }),
            kind: Type.Union([Type.Literal('changed'), Type.Literal('missing'), Type.Literal('surplus')], {
              description: '`missing`: the log makes a row that does not exist; `surplus`: it does not make this one',
            }),
            columns: Type.Array(Type.String(), { description: 'columns that differ' }),
          }),
          { description: 'the first 100 rows that differ' },
        ),
      ),
      error: Type.Optional(Type.String({ description: 'why it failed' })),
    }),
    example: {
      rebuildId: 'reb_01jq5x1d0wkz4s3v2n8m7b6c5a',
      projection: 'rules.views',
      mode: 'verify',
      outcome: 'different',
      events: 12,
      position: '4711',
      differing: 1,
      rows: [{ table: 'rules', key: 'id=rul_01jq5x1d0wkz4s3v2n8m7b6c5a', kind: 'changed', columns: ['name'] }],
    },
  }),
} as const;
