import { Type } from '@sinclair/typebox';

import { stringifyJson } from '#libs/plugin-sdk/index.js';
import { defineStep } from '#libs/plugin-sdk/src/define-step.js';

/** Puts a message, with data beside it, into the run's timeline: it stays in the log permanently. */
export const log = defineStep({
  name: 'log',
  description: "Writes a message into the run's timeline.",
  inputSchema: Type.Object(
    {
      message: Type.Unsafe<unknown>({ description: 'Text; anything else is shown as JSON.' }),
      level: Type.Optional(
        Type.Union([Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')]),
      ),
      data: Type.Optional(Type.Unknown()),
    },
    { additionalProperties: false },
  ),
  outputSchema: Type.Object({
    level: Type.String(),
    message: Type.String(),
    data: Type.Optional(Type.Unknown()),
  }),
  effects: false,
  keepsDigits: true,
  run: ({ message, level = 'info', data }) => ({
    level,
    message: typeof message === 'string' ? message : stringifyJson(message ?? null),
    ...(data === undefined ? {} : { data }),
  }),
});
