import type { Shell } from './shell.js';

interface Page<T> {
  readonly data: readonly T[];
  readonly nextCursor: string | null;
}

/** Every page of a list, one after the other. */
export async function* pages<T>({ call }: Shell, path: string): AsyncGenerator<readonly T[]> {
  let cursor: string | null = null;
  do {
    const more: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page: Page<T> = await call<Page<T>>('GET', `${path}${path.includes('?') ? '&' : '?'}limit=200${more}`);
    yield page.data;
    cursor = page.nextCursor;
  } while (cursor !== null);
}

export async function all<T>(shell: Shell, path: string): Promise<readonly T[]> {
  const found: T[] = [];
  for await (const page of pages<T>(shell, path)) found.push(...page);
  return found;
}
