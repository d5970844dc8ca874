import type { Subscriber, Table } from '../subscriber.js';

/** What would fail silently later fails at the start. @throws Error naming the subscriber or table. */
export function checkWiring(subscribers: readonly Subscriber[], tables: readonly Table[]): void {
  const names = new Set<string>();
  for (const { name } of [...subscribers, ...tables]) {
    if (names.has(name))
      throw new Error(`two subscribers or tables are called ${name}: the name is the checkpoint's key`);
    names.add(name);
  }
  for (const { name, reads, tables: own = [] } of subscribers) {
    if (reads === 'all') continue;
    for (const table of own)
      for (const type of table.reads)
        if (!reads.includes(type))
          throw new Error(`${name} does not read ${type}, which its table ${table.name} is folded from`);
  }
}
