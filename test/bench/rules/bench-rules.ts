import { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { uuid7 } from '#libs/kernel/src/ids.js';

import { githubPush } from '../../support/github.js';

/** The same rule for Millrace, as JMESPath, and for json-rules-engine. */
export interface BenchRule {
  readonly name: string;
  readonly conditions: unknown;
  readonly jmespath: string;
  readonly engine: object;
}

const fact = (name: string, operator: string, value: unknown) => ({ fact: name, operator, value });

/** Six of ten ask for a repository and a branch, two do so in one expression, one for authors, one looks into a text. */
export function benchRule(n: number): BenchRule {
  const name = `rule ${n}`;
  const repository = `acme/app-${n % 97}`;
  if (n % 10 < 8) {
    const expression = `data.repository.fullName == '${repository}' && data.branch == 'main'`;
    const all = [
      { field: 'data.repository.fullName', operator: 'equals', value: repository },
      { field: 'data.branch', operator: 'equals', value: 'main' },
    ];
    const engine = { all: [fact('repository', 'equal', repository), fact('branch', 'equal', 'main')] };
    return { name, conditions: n % 10 < 6 ? { all } : { expression }, jmespath: expression, engine };
  }
  if (n % 10 === 8) {
    const logins = [`dev-${n % 89}`, `dev-${n % 83}`, `dev-${n % 79}`];
    const conditions = {
      all: [
        { field: 'data.author.login', operator: 'in', value: logins },
        { expression: 'length(data.commits) > `0`' },
      ],
    };
    const engine = { all: [fact('author', 'in', logins), fact('commits', 'greaterThan', 0)] };
    const text = `contains(\`${JSON.stringify(logins)}\`, data.author.login) && length(data.commits) > \`0\``;
    return { name, conditions, jmespath: text, engine };
  }
  const word = `hotfix-${n}`;
  const conditions = { field: 'data.message', operator: 'contains', value: word };
  return {
    name,
    conditions,
    jmespath: `contains(data.message, '${word}')`,
    engine: { all: [fact('message', 'mentions', word)] },
  };
}

export const benchData = (n: number) => ({
  provider: 'github',
  eventType: 'push',
  branch: n % 3 === 0 ? 'main' : 'topic',
  repository: { fullName: `acme/app-${n % 101}` },
  author: { login: `dev-${n % 97}` },
  message: `fix: something, hotfix-${n % 500}`,
  commits: [{ id: 'a'.repeat(40), added: ['README.md'], modified: [], removed: [] }],
  payload: githubPush(),
});

let position = 0n;
export function benchEvent(type: string, data: object): RecordedEvent {
  const id = uuid7();
  const event = newEvent({ type, data }, { id, orgId: 'org_1', actor: 'bench', now: new Date(), source: 'github' });
  return new RecordedEvent(`bench-${id}`, 0n, ++position, id, type, new Date(), event.data, event.metadata);
}

export const definitionOf = ({ name, conditions }: BenchRule, eventType: string) => ({
  name,
  eventSource: '*',
  eventType,
  conditions,
  actions: [],
});
