import { Type } from '@sinclair/typebox';

const text = Type.String();

/** A `StepsResult`, as expressions see it. */
export const ResultSchema = Type.Object({
  status: text,
  output: Type.Unknown(),
  error: Type.Object({ type: text, code: text, message: text, path: text }),
});
