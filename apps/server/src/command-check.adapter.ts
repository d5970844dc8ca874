import type { INestApplicationContext } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';

/** Under which @nestjs/cqrs notes on a handler which command it is for. */
const HANDLED = '__commandHandler__';

/**
 * A second handler for a command would silently replace the first.
 * @throws Error naming the command and both handlers.
 */
export function checkCommandHandlers(application: INestApplicationContext): void {
  const handlers = new Map<unknown, { readonly name: string; readonly metatype: unknown }>();
  for (const module of application.get(ModulesContainer).values())
    for (const { metatype, name } of module.providers.values()) {
      if (typeof metatype !== 'function') continue;
      const command = Reflect.getMetadata(HANDLED, metatype) as { readonly name: string } | undefined;
      if (!command) continue;
      const other = handlers.get(command);
      if (other && other.metatype !== metatype)
        throw new Error(
          `${command.name} has two handlers, ${other.name} and ${String(name)}: one would replace the other`,
        );
      handlers.set(command, { name: String(name), metatype });
    }
}
