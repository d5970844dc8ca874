import { type Static, Type } from '@sinclair/typebox';

import { nullable } from '../fields.js';

const time = Type.String({ format: 'date-time' });
const position = Type.String({ description: 'Position in the log.' });

/** Rows that are folded from the log. */
export const ProjectionAnswer = Type.Object(
  {
    name: Type.String({ description: 'Of the subscriber that makes them.' }),
    tables: Type.Array(Type.String(), { description: 'In the schema `views`.' }),
    foldVersion: Type.Integer({ description: 'Version of the code that makes the rows.' }),
    rowsVersion: nullable(Type.Integer({ description: 'Version that made the rows; null before the first start.' })),
    position: nullable(position),
    head: Type.String({ description: 'Position of the newest event.' }),
    lagSeconds: Type.Number({ description: 'Seconds without progress although there are newer events.' }),
    rows: Type.Integer({ description: 'Number of rows, as the database estimates it.' }),
    rebuild: nullable(Type.String({ description: 'Id of the rebuild or verification under way.' })),
  },
  { $id: 'ProjectionAnswer' },
);
export type ProjectionAnswer = Static<typeof ProjectionAnswer>;

/** A rebuild or verification, and how far it is. */
export const RebuildAnswer = Type.Object(
  {
    id: Type.String({ examples: ['reb_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
    projection: Type.String(),
    mode: Type.Union([Type.Literal('rebuild'), Type.Literal('verify')]),
    status: Type.Union(
      (['running', 'rebuilt', 'same', 'different', 'cancelled', 'failed'] as const).map((value) => Type.Literal(value)),
      { description: '`rebuilt`: the new rows are in use. `same` and `different`: results of a verification.' },
    ),
    requestedBy: Type.String(),
    requestedAt: time,
    endedAt: nullable(time),
    events: Type.Integer({ description: 'Events folded so far.' }),
    position: nullable(position),
    target: nullable(Type.String({ description: 'Position that it has to reach.' })),
    differing: Type.Optional(Type.Integer({ description: 'Number of rows that differ.' })),
    rows: Type.Optional(
      Type.Array(
        Type.Object({
          table: Type.String(),
          key: Type.String({ examples: ['id=rul_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
          kind: Type.Union([Type.Literal('changed'), Type.Literal('missing'), Type.Literal('surplus')]),
          columns: Type.Array(Type.String(), { description: 'Columns that differ.' }),
        }),
        { description: 'The first 100 of them.' },
      ),
    ),
    error: Type.Optional(Type.String()),
  },
  { $id: 'RebuildAnswer' },
);
export type RebuildAnswer = Omit<Static<typeof RebuildAnswer>, 'status'> & {
  status: 'running' | 'rebuilt' | 'same' | 'different' | 'cancelled' | 'failed';
};
