import type { DataSource } from 'typeorm';

import { Rejected } from '#libs/kernel/src/errors.js';

import { inStream, ruleYaml } from './rule-yaml.js';
import { RuleView } from './rule.view.js';

export const YAML = 'application/yaml';

/** Rules that are in memory at a time; one has at most 64 KiB. */
const PAGE = 200;

/** Whether a client would rather have YAML. */
export const wantsYaml = (accept: string | undefined): boolean => accept?.includes(YAML) === true;

/** Rules of an organisation by their ids; without a status those that are not archived. */
export function rulesQuery(database: DataSource, orgId: string, status: string | undefined, after?: string) {
  const query = database
    .getRepository(RuleView)
    .createQueryBuilder('rule')
    .where('rule.orgId = :orgId', { orgId })
    .orderBy('rule.id');
  if (status === undefined || status === '') query.andWhere(`rule.status <> 'archived'`);
  else query.andWhere('rule.status = :status', { status });
  if (after !== undefined) query.andWhere('rule.id > :after', { after });
  return query;
}

/**
 * Rules as a stream of YAML documents, each after `---`, oldest first. Read page by page, as fast as the reader takes
 * them: ten thousand rules are never in memory together. A rule that is saved meanwhile may come in either form.
 */
export async function* exportRules(
  database: DataSource,
  orgId: string,
  status: string | undefined,
): AsyncGenerator<string> {
  let after: string | undefined;
  for (;;) {
    const rows = await rulesQuery(database, orgId, status, after).limit(PAGE).getMany();
    for (const row of rows) yield inStream(ruleYaml(row));
    after = rows.at(-1)?.id;
    if (rows.length < PAGE) return;
  }
}

/** Most rules of one organisation that are not archived. */
export const MAX_RULES = 10_000;

/**
 * Whether an organisation may have one more rule. Counts an index alone, and no further than the limit. Rules that are
 * saved at the same time do not see each other, so that a few more may get in: the limit keeps an organisation from
 * growing without bounds, and nothing relies on the exact number.
 * @param most another limit, for tests.
 * @throws Rejected `rule.too_many` (conflict)
 */
export async function refuseTooMany(database: DataSource, orgId: string, most = MAX_RULES): Promise<void> {
  const [found] = await database.query<{ rules: number }[]>(
    `select count(*)::int as rules
     from (select from views.rules where org_id = $1 and status <> 'archived' limit $2) counted`,
    [orgId, most],
  );
  if (found!.rules < most) return;
  throw new Rejected(
    'conflict',
    'rule.too_many',
    `This organisation has ${most} rules, which is the limit. Archive rules that are no longer needed (DELETE /api/v1/rules/:id, millrace rule rm), or combine several with a group of conditions.`,
  );
}
