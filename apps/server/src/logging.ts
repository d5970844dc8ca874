import { type Logger as Pino, pino } from 'pino';

import type { LogLevel } from './config.js';

export { LOG } from '#libs/kernel/src/log.js';

/** Names of fields that are never written out, wherever they stand. */
const SECRET_FIELDS = ['authorization', 'cookie', 'password', 'secret', 'secrets', 'token', 'key', 'plaintext'];

/** JSON lines on standard output; the banner and errors at start go to the terminal as they are. */
export const createLog = (level: LogLevel): Pino =>
  pino({
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: {
      err: pino.stdSerializers.err,
      error: (value: unknown) => (value instanceof Error ? pino.stdSerializers.err(value) : value),
    },
    redact: {
      paths: SECRET_FIELDS.flatMap((name) => [
        name,
        `*.${name}`,
        `*.*.${name}`,
        `headers["x-hub-signature-256"]`,
      ]).filter((path, index, all) => all.indexOf(path) === index),
      censor: '[hidden]',
    },
  });
