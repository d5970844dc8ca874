import type { LoggerService } from '@nestjs/common';

import type { Log } from '#libs/kernel/src/log.js';

/** Lets Nest speak into our log. What it says at start about every module and route is of use to its developers only. */
export class NestLog implements LoggerService {
  constructor(private readonly target: Log) {}

  log(message: unknown, ...more: unknown[]): void {
    this.target.debug(contextOf(more), String(message));
  }
  warn(message: unknown, ...more: unknown[]): void {
    this.target.warn(contextOf(more), String(message));
  }
  error(message: unknown, ...more: unknown[]): void {
    const stack = more.length > 1 ? more[0] : undefined;
    this.target.error({ ...contextOf(more), ...(stack !== undefined && { stack }) }, String(message));
  }
  fatal(message: unknown, ...more: unknown[]): void {
    this.error(message, ...more);
  }
  debug(message: unknown, ...more: unknown[]): void {
    this.log(message, ...more);
  }
  verbose(message: unknown, ...more: unknown[]): void {
    this.log(message, ...more);
  }
}

const contextOf = (more: readonly unknown[]): { context?: string } => {
  const last = more.at(-1);
  return typeof last === 'string' ? { context: last } : {};
};
