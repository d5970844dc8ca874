import { type DataSource, Not } from 'typeorm';

import { Rejected } from '#libs/kernel/src/errors.js';
import { storable } from '#libs/kernel/src/text/text.js';

import { RuleView } from './rule.view.js';

/**
 * Rules of an organisation have different names, since people, `millrace apply` and the command line know them by name.
 * Archived ones do not count. Of several processes that save a name in the same instant each may succeed: `apply` finds
 * that, and says which rules share the name.
 */
export class RuleNames {
  /** Names that are being saved, each for the id of one rule. */
  private readonly underWay = new Map<string, string>();

  constructor(private readonly database: DataSource) {}

  /**
   * Saves a rule under a name that no other rule has.
   * @throws Rejected `rule.name_taken`
   */
  async using<T>(orgId: string, name: string, id: string, save: () => Promise<T>): Promise<T> {
    const key = `${orgId} ${name}`;
    const other = this.underWay.get(key) ?? id;
    if (other !== id) throw taken(name, other);
    this.underWay.set(key, id);
    try {
      const row = await this.database
        .getRepository(RuleView)
        .findOneBy({ orgId, name: storable(name), id: Not(id), status: Not('archived') });
      if (row) throw taken(name, row.id);
      return await save();
    } finally {
      this.underWay.delete(key);
    }
  }
}

const taken = (name: string, id: string): Rejected =>
  new Rejected(
    'conflict',
    'rule.name_taken',
    `Rule ${id} is named "${name}". Choose another name, or change that rule.`,
    {
      problems: [{ pointer: '/name', detail: 'Must be a name that no other rule has.' }],
    },
  );
