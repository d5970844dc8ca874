import jmespath from 'jmespath';
import { Engine } from 'json-rules-engine';

import { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { newEvent } from '#libs/event-store/src/new-event.js';
import { uuid7 } from '#libs/kernel/src/ids.js';
import { RuleTable } from '#libs/rules/src/engine/rule.table.js';

import { githubPush } from '../support/github.js';
import { median } from './b1-ingest.js';

/**
 * B3: the decisions of 10,000 rules, 500 of which name its type, about one event, held against a loop of
 * `jmespath.search` over the same rules, and against json-rules-engine, in turns in one run. The second loop, and
 * json-rules-engine, get the 500 rules of the type alone, and the latter the facts already looked up: more than fair. Verified:
 * all find the same rules.
 */
export interface RulesResult {
  readonly rules: number;
  readonly ofType: number;
  readonly decideMs: number;
  readonly recordedMs: number;
  readonly unindexedMs: number;
  /** Over all rules, each of which names its type in its expression. */
  readonly jmespathMs: number;
  /** Over the 500 of the event's type. */
  readonly jmespathOfTypeMs: number;
  readonly jsonRulesEngineMs: number;
  readonly overJmespath: number;
  readonly overJmespathOfType: number;
  readonly overJsonRulesEngine: number;
  /** One of the 10,000 rules is saved again, and the next event decided. */
  readonly saveMs: number;
  readonly afterSaveMs: number;
  readonly loadMs: number;
  readonly bytes: number;
  readonly disagreements: number;
}

interface BenchRule {
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

const RULES = 10_000;
const OF_TYPE = 500;
const OTHER_TYPES = 19;

export async function measureRules(rounds: number, events: number): Promise<RulesResult> {
  const table = new RuleTable();
  const typeOf = (n: number) => (n % 20 === 0 ? 'git.push' : `custom.type_${n % OTHER_TYPES}`);
  const save = (type: string, n: number, version: number, given = benchRule(n / 20)) =>
    benchEvent(type, {
      ruleId: `rul_${n}`,
      version,
      enabled: true,
      definition: definitionOf(given, typeOf(n)),
    });
  const created = Array.from({ length: RULES }, (_, n) => save('rule.created', n, 1, benchRule(Math.floor(n / 20))));
  for (const event of created) void event.data;
  const loading = performance.now();
  for (const event of created) table.apply(event);
  const loadMs = performance.now() - loading;

  const own = Array.from({ length: OF_TYPE }, (_, n) => benchRule(n));
  const engine = new Engine([], { allowUndefinedFacts: true });
  engine.addOperator('mentions', (text: string, word: string) => text.includes(word));
  for (const { name, engine: conditions } of own)
    engine.addRule({ name, conditions: conditions as never, event: { type: name } });
  const pushes = Array.from({ length: events }, (_, n) => benchEvent('git.push', benchData(n)));
  const scopes = pushes.map((event) => ({
    source: 'github',
    type: event.type,
    data: event.data as unknown as BenchData,
  }));

  const all = created.map((_, n) => {
    const { jmespath: text } = benchRule(Math.floor(n / 20));
    return { name: `rule ${n / 20}`, text: `type == '${typeOf(n)}' && ${text}` };
  });
  let disagreements = 0;
  const times = { decide: [], recorded: [], jmespath: [], ofType: [], engine: [] } as Record<string, number[]>;
  let bytes = 0;
  const time = async (name: string, work: (n: number) => Promise<readonly string[]> | readonly string[]) => {
    const found: string[] = [];
    for (let n = 0; n < events; n++) {
      const began = performance.now();
      const names = await work(n);
      times[name]!.push(performance.now() - began);
      found.push(String(names.toSorted()));
    }
    return found;
  };
  // By turns, each for all events: who decides about one event after the other has its data at hand.
  for (let round = 0; round <= rounds; round++) {
    const ours = await time('decide', (n) => table.ask(pushes[n]!)!.decided.map(({ rule }) => rule.name));
    await time('recorded', (n) => {
      const verdicts = table.ask(pushes[n]!)!;
      bytes += JSON.stringify([verdicts.sets.map(({ name }) => name), verdicts.failed]).length;
      return [];
    });
    const found = await time('ofType', (n) =>
      own.filter((rule) => jmespath.search(scopes[n], rule.jmespath) === true).map(({ name }) => name),
    );
    const engines = await time('engine', async (n) =>
      (await engine.run(factsOf(scopes[n]!.data))).events.map(({ type }) => type),
    );
    disagreements += ours.filter((names, n) => names !== found[n] || names !== engines[n]).length;
    if (round > 2) continue;
    const among = await time('jmespath', (n) =>
      all.filter(({ text }) => jmespath.search(scopes[n], text) === true).map(({ name }) => name),
    );
    disagreements += ours.filter((names, n) => names !== among[n]).length;
    // The first round warms up.
    if (round === 0) for (const measured of Object.values(times)) measured.length = 0;
  }

  const saves: number[] = [];
  const afterSaves: number[] = [];
  for (let n = 0; n < 400; n++) {
    const changed = save('rule.updated', (n * 20) % RULES, n + 2);
    void changed.data;
    let began = performance.now();
    table.apply(changed);
    saves.push(performance.now() - began);
    began = performance.now();
    table.ask(pushes[n % pushes.length]!);
    afterSaves.push(performance.now() - began);
  }
  const decideMs = median(times['decide']!);
  const jmespathMs = median(times['jmespath']!);
  const jmespathOfTypeMs = median(times['ofType']!);
  const jsonRulesEngineMs = median(times['engine']!);
  return {
    rules: RULES,
    ofType: OF_TYPE,
    decideMs,
    recordedMs: median(times['recorded']!),
    unindexedMs: unindexed(events),
    jmespathMs,
    jmespathOfTypeMs,
    jsonRulesEngineMs,
    overJmespath: jmespathMs / decideMs,
    overJmespathOfType: jmespathOfTypeMs / decideMs,
    overJsonRulesEngine: jsonRulesEngineMs / decideMs,
    saveMs: median(saves),
    afterSaveMs: median(afterSaves),
    loadMs,
    bytes: bytes / ((rounds + 1) * events),
    disagreements,
  };
}

interface BenchData {
  readonly repository: { readonly fullName: string };
  readonly branch: string;
  readonly author: { readonly login: string };
  readonly message: string;
  readonly commits: readonly unknown[];
}

const factsOf = ({ repository, branch, author, message, commits }: BenchData) => ({
  repository: repository.fullName,
  branch,
  author: author.login,
  message,
  commits: commits.length,
});

/** 500 rules none of which begins with an equality. */
function unindexed(events: number): number {
  const table = new RuleTable();
  for (let n = 0; n < OF_TYPE; n++) {
    const conditions = { all: [{ field: 'data.message', operator: 'contains', value: `hotfix-${n}-` }] };
    const definition = { name: `${n}`, eventSource: '*', eventType: 'git.push', conditions, actions: [] };
    table.apply(benchEvent('rule.created', { ruleId: `rul_${n}`, version: 1, enabled: true, definition }));
  }
  const pushes = Array.from({ length: events }, (_, n) => benchEvent('git.push', benchData(n)));
  const times: number[] = [];
  for (let round = 0; round < 3; round++)
    for (const event of pushes) {
      void event.data;
      const began = performance.now();
      table.ask(event);
      times.push(performance.now() - began);
    }
  return median(times);
}
