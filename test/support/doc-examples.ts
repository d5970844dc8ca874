import { expect } from '@jest/globals';

/** A request of the page, and what the page says that it is answered. */
export interface Example {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | undefined;
  readonly status: number;
  readonly answer: unknown;
}

/** A block with a request, and the one after it with the answer. */
export function examplesOf(page: string): readonly Example[] {
  const blocks = [...page.matchAll(/^```(\w+)(?: (\d+))?\n(.*?)^```$/gms)];
  return blocks.flatMap(([, language, , text], index) => {
    if (language !== 'http') return [];
    const [, kind, status, answer = ''] = blocks[index + 1] ?? [];
    if (kind !== 'json' || status === undefined) throw new Error(`what is this answered?\n${text}`);
    const [head = '', body] = text!.split('\n\n');
    const [line = '', ...headers] = head.trim().split('\n');
    const [method = '', path = ''] = line.split(' ');
    return {
      method,
      path,
      headers: Object.fromEntries(headers.map((one) => one.split(': ') as [string, string])),
      // The line end before the fence is no part of it: senders sign what they send.
      body: body?.replace(/\n$/, ''),
      status: Number(status),
      answer: answer.trim() === '' ? undefined : (JSON.parse(answer) as unknown),
    };
  });
}

/** `…` in a text stands for anything, and a text that is nothing else for any value that is there. */
export function shown(value: unknown): unknown {
  if (value === '…') return expect.anything();
  if (typeof value === 'string' && value.includes('…')) {
    const pattern = value.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    return expect.stringMatching(new RegExp(`^${pattern.join('.*')}$`));
  }
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== 'object' || value === null) return value;
  return expect.objectContaining(Object.fromEntries(Object.entries(value).map(([key, one]) => [key, shown(one)])));
}

/**
 * Makes the requests of a page in their order; each has to be answered as the page says. `{id}` in a path is the id in the
 * first answer, `{name}` any other field of an answer before.
 * @param before for whatever a request has to wait for.
 */
export async function follow(
  page: string,
  url: string,
  token: string,
  before: (example: Example, path: string) => Promise<unknown> = () => Promise.resolve(),
): Promise<number> {
  const examples = examplesOf(page);
  const known: Record<string, string> = {};
  for (const example of examples) {
    const { method, path, headers, body, status, answer } = example;
    const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => known[name] ?? '');
    await before(example, filled);
    const response = await fetch(url + filled, {
      method,
      headers: {
        ...(!('Authorization' in headers) && path.startsWith('/api/v1/') && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body }),
    });
    const text = await response.text();
    const json = text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>);
    expect({ path, status: response.status, json }).toEqual({ path, status, json: shown(answer) });
    const fields = { ...(json?.['data'] as object | undefined), ...json };
    for (const [name, value] of Object.entries(fields)) if (typeof value === 'string') known[name] ??= value;
  }
  return examples.length;
}
