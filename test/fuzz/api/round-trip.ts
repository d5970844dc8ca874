import { ADMIN_TOKEN, type TestServer } from '../../support/server.js';
import type { Random } from '../random.js';

/** One kind of resource with a text of somebody's in it, and where the text is found again. */
interface Kind {
  readonly path: string;
  readonly body: (text: string) => object;
  readonly read: (shown: Record<string, unknown>) => unknown;
  /** It stays: issues are closed, not deleted. */
  readonly isKept?: true;
}

const name = ({ name: found }: Record<string, unknown>): unknown => found;
const KINDS: readonly Kind[] = [
  { path: 'integrations', body: (text) => ({ name: text, provider: 'generic_webhook' }), read: name },
  { path: 'rules', body: (text) => ({ name: text, eventType: 'issue.created', actions: [] }), read: name },
  {
    path: 'outbound-webhooks',
    body: (text) => ({ url: 'https://receiver.invalid/', events: ['pr.*'], filter: `data.title == ${quoted(text)}` }),
    read: ({ filter }) => /^data\.title == (`.*`)$/s.exec(String(filter))?.[1] && unquoted(String(filter)),
  },
  {
    path: 'agents',
    body: (text) => ({ name: text, runtime: 'http', config: { url: 'https://agent.invalid/' } }),
    read: name,
  },
  { path: 'issues', body: (text) => ({ title: text }), read: ({ title }) => title, isKept: true },
];

const quoted = (text: string): string => `\`${JSON.stringify(text).replaceAll('`', '\\`')}\``;
const unquoted = (filter: string): unknown =>
  JSON.parse(filter.slice('data.title == `'.length, -1).replaceAll('\\`', '`')) as unknown;

/**
 * Every text that JSON can hold goes through every kind of resource, in a new one and in a changed one, and back again in the
 * one, in the list, until it is deleted; or it is refused with 422 and leaves nothing.
 * @returns what went wrong.
 */
export async function roundTrips(server: TestServer, texts: readonly string[]): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const kind of KINDS) for (const text of texts) problems.push(...(await roundTrip(server, kind, text)));
  return problems;
}

async function roundTrip(server: TestServer, { path, body, read, isKept }: Kind, text: string) {
  const problems: string[] = [];
  const wrong = (what: string): void =>
    void problems.push(`${path} with ${JSON.stringify(text).slice(0, 80)}: ${what}`);
  const expectShown = (where: string, shown: Record<string, unknown> | undefined): void => {
    if (shown === undefined || read(shown) !== text) wrong(`${where} has ${JSON.stringify(shown)?.slice(0, 200)}`);
  };
  const created = await ask(server, 'POST', path, body(text));
  if (created.status === 422) return problems;
  if (created.status !== 201) return [...problems, `${path}: POST answered ${created.status}`];
  const one = `${path}/${String(created.body['id'])}`;
  expectShown('the answer', created.body);
  expectShown('the one', (await ask(server, 'GET', one)).body);
  const listed = (await ask(server, 'GET', `${path}?limit=200`)).body['data'] as Record<string, unknown>[] | undefined;
  if (listed && listed.length < 200)
    expectShown(
      'the list',
      listed.find(({ id }) => id === created.body['id']),
    );
  const changed = await ask(server, 'PATCH', one, body(`${text}!`));
  if (changed.status >= 500) wrong(`PATCH answered ${changed.status}`);
  if (isKept) return problems;
  const removed = await ask(server, 'DELETE', one);
  if (removed.status >= 300) wrong(`DELETE answered ${removed.status}`);
  return problems;
}

async function ask(server: TestServer, method: string, path: string, body?: object) {
  const answer = await fetch(`${server.url}/api/v1/${path}`, {
    method,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> };
}

/** Texts of any characters of UTF-16, halves of pairs included. */
export function anyTexts(count: number, random: Random): readonly string[] {
  return Array.from({ length: count }, () => {
    const ranges = [0x20, 0x80, 0x800, 0xd800, 0x10000] as const;
    const unit = (): string =>
      String.fromCharCode(random.once(30) ? 0xd800 + random.below(0x800) : random.below(random.pick(ranges)));
    return `t${Array.from({ length: random.below(40) }, unit).join('')}`;
  });
}
