import type { DataSource } from 'typeorm';

import { Rejected } from '#libs/kernel/src/errors.js';

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
    `This organisation has ${most} rules, which is the most that it may have. Archive those that are no longer needed (DELETE /api/v1/rules/:id, millrace rule rm), or ask one rule about more with a group of conditions.`,
  );
}
