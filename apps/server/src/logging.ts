import { type DestinationStream, type Logger as Pino, pino } from 'pino';

import type { LogLevel } from './config.js';

export { LOG } from '#libs/kernel/src/log.js';

/** Names of fields that are never written out, at the top or one or two levels down. */
const SECRET_FIELDS = ['authorization', 'cookie', 'password', 'secret', 'secrets', 'token', 'plaintext', 'secretKey'];

/** JSON lines on standard output; the banner and errors at start go to the terminal as they are. */
export function createLog(level: LogLevel, destination?: DestinationStream): Pino {
  const options = {
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: errorFields, error: errorFields },
    redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[hidden]' },
  };
  return destination ? pino(options, destination) : pino(options);
}

const MAX_CAUSES = 5;

/**
 * What is known to be fit for a log. Errors of drivers and HTTP clients carry the parameters and headers of what failed,
 * and with them whatever was secret: nothing is copied that is not named here.
 */
export function errorFields(value: unknown, depth = 0): unknown {
  if (!(value instanceof Error)) return value;
  const { name, message, stack, cause } = value;
  const code = 'code' in value ? value.code : undefined;
  return {
    type: name,
    message,
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
    stack,
    ...(cause !== undefined && depth < MAX_CAUSES && { cause: errorFields(cause, depth + 1) }),
  };
}
