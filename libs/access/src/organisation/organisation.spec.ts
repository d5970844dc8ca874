import { describe, expect, it } from '@jest/globals';

import { DEFAULT_ORG } from '#libs/events/src/envelope.js';

import {
  establish,
  EstablishOrganisation,
  type Organisation,
  updateOrganisation,
  UpdateOrganisation,
} from './organisation.js';

const author = { orgId: 'org_a', actor: 'token/tok_1' };
const active: Organisation = { kind: 'active', name: 'Acme' };
const archived: Organisation = { kind: 'archived', name: 'Acme' };
const change = (changes: UpdateOrganisation['changes'], id = 'org_a') => new UpdateOrganisation(id, author, changes);
const typesOf = (state: Organisation, changes: UpdateOrganisation['changes']) =>
  updateOrganisation(state, change(changes)).map(({ type }) => type);

describe('an organisation', () => {
  it.each<[Organisation, UpdateOrganisation['changes'], readonly string[]]>([
    [active, { name: 'Acme Ltd' }, ['organisation.renamed']],
    [active, { archived: true }, ['organisation.archived']],
    [active, { name: 'Acme', archived: false }, []],
    [archived, { archived: true }, []],
    [archived, { archived: false, name: 'Acme 2' }, ['organisation.renamed', 'organisation.restored']],
  ])('%j changed to %j records %j', (state, changes, types) => {
    expect(typesOf(state, changes)).toEqual(types);
  });

  it('is archived unless it is the first, whose admins are those of the installation', () => {
    const first = change({ archived: true }, DEFAULT_ORG);
    expect(() => updateOrganisation(active, first)).toThrow(expect.objectContaining({ code: 'organisation.is_first' }));
    expect(updateOrganisation(active, change({ name: 'x' }, DEFAULT_ORG))).toHaveLength(1);
  });

  it('that does not exist is not changed, and an archived one not made again', () => {
    expect(() => updateOrganisation({ kind: 'unknown' }, change({}))).toThrow('There is no organisation org_a.');
    expect(establish(archived, new EstablishOrganisation('org_a', author, 'Acme'))).toEqual([]);
  });
});
