import { TIMES, type TimeOf } from '#libs/event-index/src/event-query.js';
import { type Bound, boundOf } from '#libs/event-index/src/scan/log-range.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { isObject } from '#libs/kernel/src/json.js';
import { Problems } from '#libs/kernel/src/problems.js';

import { type KnownActions, NO_ACTIONS } from '../../actions/plugin-actions.js';
import { checkedAt, type CheckedRule } from '../../language/definition.js';

/** A rule that is saved; without a version the one in force. */
export interface RuleReference {
  readonly ruleId: string;
  readonly version?: number;
}

export interface BacktestRequest {
  readonly rule: CheckedRule;
  /** Which time of an event the times of the range are compared with. */
  readonly by: TimeOf;
  /** Inclusive. */
  readonly from?: Bound;
  /** A position is inclusive, a time exclusive. */
  readonly to?: Bound;
  readonly compareTo?: RuleReference;
}

/** @throws Rejected `rule.invalid_backtest`, or `rule.invalid`, with a problem for everything that is wrong. */
export function parseBacktest(body: unknown, known: KnownActions = NO_ACTIONS): BacktestRequest {
  const problems = new Problems('rule');
  if (!isObject(body))
    throw new Rejected(
      'invalid',
      'rule.invalid_backtest',
      'The body must be an object: { rule, from?, to?, by?, compareTo? }.',
    );
  problems.unknownKeys(body, ['rule', 'by', 'from', 'to', 'compareTo'], '');
  const by = timeOf(body['by'], problems);
  const from = boundOf(body['from'], '/from', problems);
  const to = boundOf(body['to'], '/to', problems);
  const compareTo = referenceOf(body['compareTo'], problems);
  problems.throwIfAny('rule.invalid_backtest', 'The backtest is invalid');
  const rule = checkedAt('/rule', body['rule'], known);
  return { rule, by, ...(from && { from }), ...(to && { to }), ...(compareTo && { compareTo }) };
}

function timeOf(given: unknown, problems: Problems): TimeOf {
  const by = given === undefined ? 'receivedAt' : TIMES.find((time) => time === given);
  if (!by) problems.add('/by', `Must be ${TIMES.join(' or ')}.`);
  return by ?? 'receivedAt';
}

function referenceOf(given: unknown, problems: Problems): RuleReference | undefined {
  if (given === undefined) return undefined;
  const reference = typeof given === 'string' ? { ruleId: given } : given;
  if (!isObject(reference)) {
    problems.add(
      '/compareTo',
      'Must be the id of a rule, or { ruleId, version? }; without a version, the one in force.',
    );
    return undefined;
  }
  problems.unknownKeys(reference, ['ruleId', 'version'], '/compareTo');
  const { ruleId, version } = reference;
  const at = typeof given === 'string' ? '/compareTo' : '/compareTo/ruleId';
  if (typeof ruleId !== 'string' || !/^rul_\w{1,60}$/.test(ruleId)) {
    problems.add(at, 'Must be the id of a rule: rul_….');
    return undefined;
  }
  if (
    version !== undefined &&
    !(Number.isInteger(version) && (version as number) >= 1 && (version as number) < 2 ** 31)
  ) {
    problems.add('/compareTo/version', 'Must be the number of a version, from 1.');
    return undefined;
  }
  return { ruleId, ...(version !== undefined && { version: version as number }) };
}
