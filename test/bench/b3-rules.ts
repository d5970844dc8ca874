import jmespath from 'jmespath';
import { Engine } from 'json-rules-engine';

import { RuleTable } from '#libs/rules/src/engine/rule.table.js';

import {
  atLeast,
  atMost,
  type Benchmark,
  type BenchmarkOptions,
  median,
  type Report,
  row,
  type Size,
} from './benchmark.js';
import { benchData, benchEvent, benchRule, definitionOf } from './rules/bench-rules.js';
import { measureRulesMemory } from './rules/rules-memory.js';
import { measureThroughput } from './rules/rules-throughput.js';

/**
 * B3: the decisions of 10,000 rules, 500 of which name its type, about one event, held against a loop of
 * `jmespath.search` over the same rules, and against json-rules-engine, in turns in one run. The second loop, and
 * json-rules-engine, get the 500 rules of the type alone, and the latter the facts already looked up: more than fair. Verified:
 * all find the same rules.
 */
interface RulesResult {
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

const RULES = 10_000;
const OF_TYPE = 500;
const OTHER_TYPES = 19;

async function measureRules(rounds: number, events: number): Promise<RulesResult> {
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
    const ours = await time('decide', (n) => table.evaluate(pushes[n]!)!.decided.map(({ rule }) => rule.name));
    await time('recorded', (n) => {
      const verdicts = table.evaluate(pushes[n]!)!;
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
    table.evaluate(pushes[n % pushes.length]!);
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
      table.evaluate(event);
      times.push(performance.now() - began);
    }
  return median(times);
}

interface Plan {
  readonly rounds: number;
  readonly events: number;
  /** Decided from and into a log, with so many rules, by so many processes. */
  readonly throughput: readonly [events: number, rules: readonly number[], processes: readonly number[]];
  /** So many rules in memory, and large events. */
  readonly memory: readonly [rules: number, events: number];
}

const PLANS: Readonly<Record<Size, Plan>> = {
  full: { rounds: 10, events: 200, throughput: [20_000, [10, 1_000, 10_000], [1, 2]], memory: [10_000, 10] },
  quick: { rounds: 3, events: 60, throughput: [2_000, [10, 1_000, 10_000], [1, 2]], memory: [2_000, 10] },
  smoke: { rounds: 1, events: 2, throughput: [20, [10], [1]], memory: [40, 1] },
};

async function run({ size }: BenchmarkOptions): Promise<Report> {
  const plan = PLANS[size];
  const b3 = await measureRules(plan.rounds, plan.events);
  const throughput = await measureThroughput(...plan.throughput);
  const memory = await measureRulesMemory(...plan.memory);
  const wrong = throughput.filter((one) => one.wrong > 0);
  return {
    rows: [
      atMost(`${b3.rules} rules, ${b3.ofType} of the type, ms`, b3.decideMs, 0.5, 3),
      atLeast('over jmespath.search, the same rules', b3.overJmespath, 100, 0),
      row(`over jmespath.search, the ${b3.ofType} of the type`, b3.overJmespathOfType),
      atLeast(`over json-rules-engine, those ${b3.ofType}`, b3.overJsonRulesEngine, 20, 0),
      row('with the verdicts written out, ms', b3.recordedMs, 3),
      atMost(`${b3.ofType} rules without an equality, ms`, b3.unindexedMs, 0.5, 3),
      atMost('one of the rules saved, ms', b3.saveMs, 1, 3),
      atMost('the next event after it, ms', b3.afterSaveMs, 0.5, 3),
      row('verdicts of one event, bytes', b3.bytes),
      ...throughput.flatMap((one) => [
        row(`${one.rules} rules, ${one.processes} process${one.processes > 1 ? 'es' : ''}, events/s`, one.perSecond),
        row('bytes per event, per pair', `${one.bytesPerEvent.toFixed(0)}, ${one.bytesPerPair.toFixed(1)}`),
      ]),
      atMost(`${memory.rules} rules and an event of 1 MiB, RSS in MB`, memory.restartedWithEventMb, 250),
      atMost('the same right after all were saved, ten events', memory.withEventsMb, 250),
    ],
    verified: 'all find the same rules; every event in the log is decided once, also large ones',
    faults: [
      ...(b3.disagreements > 0 ? [`${b3.disagreements} times other rules were found`] : []),
      ...wrong.map((one) => `${one.rules} rules, ${one.processes} processes: ${one.wrong} events with other decisions`),
      ...(memory.missing > 0 ? [`${memory.missing} large events are undecided`] : []),
    ],
    result: { ...b3, throughput, memory },
  };
}

export const rules: Benchmark = { id: 'B3', title: 'decisions of rules', run };
