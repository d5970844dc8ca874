/** Where the engine says what it does. The loggers of pino fit. Never given a secret. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const nowhere = (): void => undefined;

/** Says nothing: the default, and for tests. */
export const silentLog: Log = { debug: nowhere, info: nowhere, warn: nowhere, error: nowhere };

/** Injection token of the server's log. */
export const LOG = Symbol('Log');
