import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { PendingAction } from './pending-action.js';
import { PendingChanges } from './pending-changes.js';

const action = (id: string, text: string): PendingAction => ({
  id,
  orgId: 'org_1',
  type: 'action',
  requestedBy: { kind: 'rule', ruleId: 'rul_1', ruleVersion: 1, index: 0 },
  eventId: 'evt_1',
  details: { text },
  requestedAt: '2026-11-20T12:00:00.000Z',
});

const id = fc.constantFrom('a', 'b', 'c');
const text = fc.constantFrom('one', 'two', 'three');
const step = fc.record({ kind: fc.constantFrom('request', 'retry', 'end'), id, text });
type Rows = Map<string, PendingAction>;

/** As statements for one event after the other change the table. */
function oneByOne(rows: Rows, { kind, id, text }: { kind: string; id: string; text: string }): void {
  const row = rows.get(id);
  if (kind === 'request' && !row) rows.set(id, action(id, text));
  else if (kind === 'retry' && row) rows.set(id, { ...row, details: { text } });
  else if (kind === 'end') rows.delete(id);
}

/** As the three statements of a batch do. */
function atOnce(rows: Rows, changes: PendingChanges): void {
  for (const id of changes.removed) rows.delete(id);
  for (const [id, details] of changes.details) if (rows.has(id)) rows.set(id, { ...rows.get(id)!, details });
  for (const [id, row] of changes.added) if (!rows.has(id)) rows.set(id, row);
}

describe('the changes of a batch', () => {
  it('come to what its events change one by one, whatever was there before', () => {
    fc.assert(
      fc.property(fc.uniqueArray(id), fc.array(step, { maxLength: 12 }), (before, steps) => {
        const start = () => new Map(before.map((id) => [id, action(id, 'before')]));
        const [expected, rows, changes] = [start(), start(), new PendingChanges()];
        for (const one of steps) {
          oneByOne(expected, one);
          if (one.kind === 'request') changes.request(action(one.id, one.text));
          else if (one.kind === 'retry') changes.retry(one.id, { text: one.text });
          else changes.end(one.id);
        }
        atOnce(rows, changes);
        expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(expected));
      }),
    );
  });
});
