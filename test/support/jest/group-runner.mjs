import { relative, sep } from 'node:path';

import { formatResultsErrors } from 'jest-message-util';
import TestRunner from 'jest-runner';

/** Loads and runs the specs of one group; see its comment. */
const GROUP = new URL('group.mjs', import.meta.url).pathname;

/** The stage that a spec belongs to: the library, the app or the folder of tests that it is in. */
const stageOf = ({ path, context }) => relative(context.config.rootDir, path).split(sep).slice(0, 2).join('/');

/**
 * Jest gives each file a world of its own and loads all that it imports once more: for most specs that takes far longer than
 * their tests. This runner puts the specs of a stage into one world, and tells jest of each file as if it had run alone.
 * Stages with fewer than `atLeast` specs share a world with the next ones.
 */
export default class GroupRunner extends TestRunner {
  async runTests(tests, watcher, options) {
    const groups = [...groupsOf(tests, this._options?.atLeast ?? 1)];
    groups.sort((one, other) => weightOf(other) - weightOf(one));
    await super.runTests(groups.map(asOneTest), watcher, options);
  }

  on(event, listener) {
    switch (event) {
      case 'test-file-start':
        return super.on(event, ([{ members }]) => each(members, (test) => listener([test])));
      case 'test-file-failure':
        return super.on(event, ([{ members }, error]) => each(members, (test) => listener([test, error])));
      case 'test-file-success':
        return super.on(event, ([group, result]) =>
          each(resultsOf(group, result, this._globalConfig), (part) => listener(part)),
        );
      default:
        return super.on(event, listener);
    }
  }
}

function* groupsOf(tests, atLeast) {
  let group = [];
  for (const test of [...tests].sort((one, other) => (one.path < other.path ? -1 : 1))) {
    if (group.length >= atLeast && stageOf(test) !== stageOf(group.at(-1))) {
      yield group;
      group = [];
    }
    group.push(test);
  }
  if (group.length > 0) yield group;
}

async function each(things, tell) {
  for (const thing of things) await tell(thing);
}

/** The longest group first, so that no worker ends long after the other. A spec that never ran counts by its share. */
const weightOf = (tests) => tests.reduce((sum, { duration = 500 }) => sum + duration, 0);

function asOneTest(members) {
  const { context } = members[0];
  const globals = { ...context.config.globals, specs: members.map(({ path }) => path) };
  return { path: GROUP, members, context: { ...context, config: { ...context.config, globals } } };
}

/** The results of the group's tests, each with the file that it stands in: the outermost title, which `group.mjs` added. */
function resultsOf({ members, context }, whole, globalConfig) {
  let began = whole.perfStats.start;
  return members.map((test, index) => {
    const tests = whole.testResults
      .filter(({ ancestorTitles: [path] }) => path === test.path)
      .map((one) => {
        const ancestorTitles = one.ancestorTitles.slice(1);
        return { ...one, ancestorTitles, fullName: [...ancestorTitles, one.title].join(' ') };
      });
    const last = index === members.length - 1;
    const ended = last ? whole.perfStats.end : tests.reduce((end, one) => Math.max(end, endOf(one, began)), began);
    const perfStats = { ...whole.perfStats, start: began, end: ended, runtime: ended - began };
    perfStats.slow = perfStats.runtime / 1000 > context.config.slowTestThreshold;
    began = ended;
    const count = (status) => tests.filter((one) => one.status === status).length;
    // An error outside of all tests has no file; it counts once.
    const testExecError = index === 0 ? whole.testExecError : undefined;
    const messages = [formatResultsErrors(tests, context.config, globalConfig, test.path)];
    if (testExecError) messages.push(whole.failureMessage);
    return [
      test,
      {
        ...whole,
        testFilePath: test.path,
        testResults: tests,
        testExecError,
        failureMessage: messages.filter(Boolean).join('\n') || null,
        numPassingTests: count('passed'),
        numFailingTests: count('failed'),
        numPendingTests: count('pending'),
        numTodoTests: count('todo'),
        console: index === 0 ? whole.console : undefined,
        skipped: tests.every(({ status }) => status === 'pending'),
        perfStats,
      },
    ];
  });
}
const endOf = ({ startAt, duration }, otherwise) => (startAt ? startAt + (duration ?? 0) : otherwise);
