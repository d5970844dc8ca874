import { text } from 'node:stream/consumers';

import { beforeEach, describe, expect, it } from '@jest/globals';
import { StreamableFile } from '@nestjs/common';
import { load, loadAll } from 'js-yaml';

import { WrongRevision } from '#libs/event-store/src/event-store.js';
import type { SavedRule } from '#libs/events/src/shapes/rule-shape.js';

import { useViews } from '../../../../test/support/views.js';
import { callerOf, RuleBench } from '../../testing/rule-bench.js';
import { MAX_RULES, refuseTooMany } from './rule-rows.adapter.js';
import { RuleVersionView, RuleView } from './rule.view.js';

const views = useViews({ entities: [RuleView, RuleVersionView] });
let bench: RuleBench;

beforeEach(async () => {
  bench = new RuleBench(views.dataSource);
});

const own = callerOf('org_1');
const stranger = callerOf('org_2');
const pushes = { name: 'pushes', eventType: 'git.push', actions: [{ type: 'create_issue', with: { title: 'look' } }] };
const api = () => bench.rules;
const create = (rule: object, caller = own): Promise<SavedRule> => api().create(caller, rule, bench.reply);
const etag = () => bench.headers['etag'];
const logged = async () => (await bench.store.readAll({ limit: 10_000 })).events.map(({ type }) => type);

/** Rows of rules that nobody saved: as many as one likes at once. */
const fill = (rules: number, orgId = 'org_1', status = 'enabled') =>
  views.dataSource.query(
    `insert into views.rules (id, org_id, name, version, status, definition, revision, created_at, updated_at)
     select 'rul_' || $2 || $3 || lpad(n::text, 6, '0'), $2, 'rule ' || n, 1, $3,
            json_build_object('name', 'rule ' || n, 'eventSource', '*', 'eventType', 'git.push', 'actions', json_build_array()),
            0, now(), now()
     from generate_series(1, $1::int) n`,
    [rules, orgId, status],
  );

describe('every change of a rule', () => {
  type Change = (id: string, ifMatch?: string) => Promise<unknown>;
  const changes: readonly [string, Change, readonly string[]][] = [
    ['PUT', (id, etag) => api().replace(own, id, { ...pushes, name: 'b' }, bench.reply, etag), ['rule.updated']],
    ['PATCH', (id, etag) => api().change(own, id, { name: 'b' }, bench.reply, etag), ['rule.updated']],
    [
      'PATCH { enabled }',
      (id, etag) => api().change(own, id, { enabled: false }, bench.reply, etag),
      ['rule.disabled'],
    ],
    ['DELETE', (id, etag) => api().archive(own, id, bench.reply, etag), ['rule.archived']],
  ];

  it.each(changes)(
    '%s is made at the revision that If-Match names, and answers with the next',
    async (_, change, types) => {
      const { id } = await create(pushes);
      expect(etag()).toBe('"0"');
      await change(id, etag());
      expect(etag()).toBe('"1"');
      expect((await logged()).slice(1)).toEqual(types);
      await api().view(own, id, bench.reply);
      expect(etag()).toBe('"1"');
    },
  );

  it.each(changes)('%s is refused with 412 at any other, and does nothing', async (_, change) => {
    const { id } = await create(pushes);
    await api().change(own, id, { description: 'why' }, bench.reply);
    const before = await logged();
    for (const old of ['"0"', '"2"', 'W/"1"', '1', 'x'])
      await expect(change(id, old)).rejects.toMatchObject({ kind: 'conflict', code: 'revision.changed' });
    expect(await logged()).toEqual(before);
    await change(id, '*');
    expect(await logged()).toHaveLength(before.length + 1);
  });

  it.each(changes)('%s tells nobody that a rule of another organisation is there', async (_, change) => {
    const { id } = await create(pushes, stranger);
    for (const tried of [undefined, '*', '"0"', '"7"'])
      await expect(change(id, tried)).rejects.toMatchObject({ code: 'rule.not_found' });
    await expect(change('rul_none', '"0"')).rejects.toMatchObject({ code: 'rule.not_found' });
  });

  it('that changes nothing makes no version and no event, and keeps the ETag', async () => {
    const { id } = await create(pushes);
    const reordered = {
      actions: pushes.actions,
      eventType: 'git.push',
      eventSource: '*',
      enabled: true,
      name: 'pushes',
    };
    for (const same of [pushes, reordered])
      expect(await api().replace(own, id, same, bench.reply, '"0"')).toMatchObject({ version: 1 });
    expect(await api().change(own, id, { enabled: true }, bench.reply)).toMatchObject({ version: 1 });
    expect(await api().change(own, id, {}, bench.reply)).toMatchObject({ version: 1 });
    expect([etag(), await logged()]).toEqual(['"0"', ['rule.created']]);
  });

  it('of parts is merged with what is there, or is a conflict, where somebody else was faster', async () => {
    const { id } = await create(pushes);
    // The view is behind: what the change is merged with is not what is there.
    await views.dataSource.query(`update views.rules set revision = 7 where id = $1`, [id]);
    await expect(api().change(own, id, { name: 'b' }, bench.reply)).rejects.toBeInstanceOf(WrongRevision);
  });
});

describe('an archived rule', () => {
  const archived = async () => {
    const { id } = await create(pushes);
    await api().archive(own, id, bench.reply);
    return id;
  };

  it.each<[string, (id: string) => Promise<unknown>]>([
    ['saved again', (id) => api().replace(own, id, pushes, bench.reply)],
    ['saved again as something else', (id) => api().replace(own, id, { ...pushes, name: 'b' }, bench.reply, '"1"')],
    ['changed', (id) => api().change(own, id, { name: 'b' }, bench.reply)],
    ['changed in nothing', (id) => api().change(own, id, {}, bench.reply)],
    ['enabled', (id) => api().change(own, id, { enabled: true }, bench.reply)],
    ['disabled', (id) => api().change(own, id, { enabled: false }, bench.reply)],
  ])('cannot be %s', async (_, attempt) => {
    const id = await archived();
    await expect(attempt(id)).rejects.toMatchObject({ kind: 'conflict', code: 'rule.archived' });
    expect(await logged()).toEqual(['rule.created', 'rule.archived']);
  });

  it('can be archived again, which does nothing', async () => {
    const id = await archived();
    await api().archive(own, id, bench.reply);
    await api().archive(own, id, bench.reply, '"1"');
    expect(await logged()).toEqual(['rule.created', 'rule.archived']);
    await expect(api().archive(own, id, bench.reply, '"0"')).rejects.toMatchObject({ code: 'revision.changed' });
  });

  it('can be looked at, with its versions, and exported as disabled', async () => {
    const id = await archived();
    expect(await api().view(own, id, bench.reply)).toMatchObject({ status: 'archived', enabled: false });
    expect((await api().versions(own, id)).data).toMatchObject([{ version: 1 }]);
    expect(load((await api().view(own, id, bench.reply, 'application/yaml')) as string)).toMatchObject({
      name: 'pushes',
      enabled: false,
    });
  });

  it('leaves its name to another one', async () => {
    const id = await archived();
    expect((await create(pushes)).id).not.toBe(id);
  });
});

describe('rules as YAML', () => {
  const exported = async (status?: string, caller = own): Promise<string> => {
    const answer = await api().list(caller, bench.reply, status, '1', undefined, 'application/yaml, */*;q=0.5');
    expect(answer).toBeInstanceOf(StreamableFile);
    expect((answer as StreamableFile).getHeaders().type).toBe('application/yaml; charset=utf-8');
    return text((answer as StreamableFile).getStream());
  };

  it('are one document each, with the ETag', async () => {
    const { id } = await create({ ...pushes, enabled: false });
    await api().change(own, id, { description: 'on 2026-01-01:\nyes' }, bench.reply);
    const yaml = (await api().view(own, id, bench.reply, 'application/yaml')) as string;
    expect(yaml).toMatch(`# ${id}\n`);
    expect(bench.headers).toMatchObject({
      'content-type': 'application/yaml; charset=utf-8',
      etag: '"1"',
      vary: 'accept',
    });
    await api().replace(own, id, load(yaml) as object, bench.reply);
    expect(await logged()).toEqual(['rule.created', 'rule.updated']);
    await expect(api().view(stranger, id, bench.reply, 'application/yaml')).rejects.toMatchObject({
      code: 'rule.not_found',
    });
  });

  it('are a stream of all that are not archived, of the own organisation alone', async () => {
    const a = await create({ ...pushes, name: 'a' });
    const b = await create({ ...pushes, name: 'b', enabled: false });
    const gone = await create({ ...pushes, name: 'gone' });
    await api().archive(own, gone.id, bench.reply);
    await create({ ...pushes, name: 'other' }, stranger);
    const names = async (status?: string) => loadAll(await exported(status)).map((rule) => (rule as SavedRule).name);
    expect(await names()).toEqual(
      [a, b].toSorted((one, other) => (one.id < other.id ? -1 : 1)).map(({ name }) => name),
    );
    expect(await names('disabled')).toEqual(['b']);
    expect(await names('archived')).toEqual(['gone']);
    expect(await exported(undefined, callerOf('org_3'))).toBe('');
  });

  it.each([199, 200, 201, 1_000])('are all there, once, across pages: %d', async (rules) => {
    await fill(rules);
    const names = loadAll(await exported()).map((rule) => (rule as SavedRule).name);
    expect(names).toEqual(Array.from({ length: rules }, (_, n) => `rule ${n + 1}`));
  });
});

describe('the number of rules', () => {
  it('has a limit, which archived rules and those of others do not count towards', async () => {
    await fill(MAX_RULES - 1);
    await fill(20, 'org_1', 'archived');
    await fill(20, 'org_2');
    const { id } = await create(pushes);
    await expect(create(pushes)).rejects.toMatchObject({
      kind: 'conflict',
      code: 'rule.too_many',
      message: expect.stringMatching(/10000 rules.*Archive/),
    });
    // What is there can be changed all the same.
    expect(await api().change(own, id, { name: 'b' }, bench.reply)).toMatchObject({ version: 2 });
    expect(await create(pushes, stranger)).toMatchObject({ version: 1 });
    await api().archive(own, id, bench.reply);
    await create(pushes);
    expect((await logged()).filter((type) => type === 'rule.created')).toHaveLength(3);
  });

  it('is counted by the index that holds no archived ones', async () => {
    await fill(200);
    await fill(10_000, 'org_1', 'archived');
    await fill(10_000, 'org_2');
    await views.dataSource.query('analyze views.rules');
    const plan = await views.dataSource.query<{ 'QUERY PLAN': string }[]>(
      `explain select count(*) from (select from views.rules where org_id = 'org_1' and status <> 'archived' limit 10000) counted`,
    );
    expect(plan.map((line) => line['QUERY PLAN']).join('\n')).toContain('rules_in_use');
    await refuseTooMany(views.dataSource, 'org_1', 201);
    await expect(refuseTooMany(views.dataSource, 'org_1', 200)).rejects.toMatchObject({ code: 'rule.too_many' });
  });
});
