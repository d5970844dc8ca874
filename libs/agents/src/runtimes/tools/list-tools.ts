import { isObject } from '#libs/kernel/src/json.js';

import type { ListedTool } from './offered-tools.js';

const MAX_TOOLS = 128;
const MAX_NAME = 64;
const MAX_DESCRIPTION = 2_000;

/** What a server says about its tools, under names that every model takes and that no two tools have. */
export function listedTools(
  servers: readonly { readonly index: number; readonly tools: readonly Readonly<Record<string, unknown>>[] }[],
  taken: readonly string[],
): readonly ListedTool[] {
  const used = new Set(taken);
  const unique = (wanted: string): string => {
    const base = wanted.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, MAX_NAME) || 'tool';
    let name = base;
    for (let n = 2; used.has(name); n++) name = `${base.slice(0, MAX_NAME - 4)}_${n}`;
    used.add(name);
    return name;
  };
  return servers
    .flatMap(({ index, tools }) =>
      tools.flatMap(({ name, description, inputSchema, annotations }): ListedTool[] => {
        if (typeof name !== 'string') return [];
        const hints = isObject(annotations) ? annotations : {};
        return [
          {
            name: unique(name),
            server: index,
            serverName: name,
            description: typeof description === 'string' ? description.slice(0, MAX_DESCRIPTION) : '',
            inputSchema: isObject(inputSchema) ? inputSchema : { type: 'object' },
            readOnly: hints['readOnlyHint'] === true,
            idempotent: hints['idempotentHint'] === true,
          },
        ];
      }),
    )
    .slice(0, MAX_TOOLS);
}
