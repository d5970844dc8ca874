import { describe, expect, it } from '@jest/globals';

import { fold } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { EventDraft } from '#libs/event-store/src/new-event.js';

import {
  ActivateWorkflow,
  ArchiveWorkflow,
  SaveWorkflow,
  activate,
  archive,
  type Origin,
  save,
  versionOf,
  type Workflow,
  workflow,
  workflowIdOf,
} from './workflow.js';

const author = { orgId: 'org_1', actor: 'token/tok_1' };
const id = workflowIdOf('org_1', 'hello');
const now = new Date('2026-01-01T00:00:00Z');

const after = (state: Workflow, drafts: readonly EventDraft[]): Workflow =>
  fold(
    workflow,
    drafts.map((draft) => ({ ...draft, metadata: author, isReadable: true })) as unknown as RecordedEvent[],
    state,
  );
const saved = (state: Workflow, source: string, origin: Origin = 'api', file?: string) =>
  save(state, new SaveWorkflow(id, author, 'hello', source, origin, file), now);
const types = (drafts: readonly EventDraft[]) => drafts.map(({ type }) => type);

const none: Workflow = { kind: 'unknown' };
const one = after(none, saved(none, 'one'));
const two = after(one, saved(one, 'two'));

describe('a workflow', () => {
  it('is found by its name in its organisation, and nowhere else', () => {
    expect(workflowIdOf('org_1', 'hello')).toBe(id);
    expect(workflowIdOf('org_2', 'hello')).not.toBe(id);
    expect(workflowIdOf('org_1', 'hello2')).not.toBe(id);
  });

  it('is active from its first save on', () => {
    expect(saved(none, 'one').map(({ data }) => data)).toMatchObject([
      { workflowId: id, name: 'hello', version: versionOf('one'), number: 1, source: 'one', origin: 'api' },
      { workflowId: id, name: 'hello', version: versionOf('one'), origin: 'api' },
    ]);
    expect(one).toMatchObject({ kind: 'active', version: versionOf('one') });
  });

  it('counts its versions', () => {
    expect(saved(one, 'two')[0]!.data).toMatchObject({ number: 2 });
  });

  it('makes no version of the active text', () => {
    expect(saved(two, 'two')).toEqual([]);
  });

  it('activates a text that was saved before, without another version', () => {
    expect(types(saved(two, 'one'))).toEqual(['workflow.activated']);
  });

  it('activates the version that is named', () => {
    const drafts = activate(two, new ActivateWorkflow(id, author, versionOf('one')), now);
    expect(after(two, drafts)).toMatchObject({ kind: 'active', version: versionOf('one') });
    expect(activate(two, new ActivateWorkflow(id, author, versionOf('two')), now)).toEqual([]);
  });

  it('says which webhook triggers a version has whenever it becomes active', () => {
    const command = new SaveWorkflow(id, author, 'hello', 'three', 'api', undefined, [{ respond: 'wait' }]);
    const drafts = save(two, command, now);
    expect(drafts.map(({ data }) => data)).toMatchObject([
      { webhooks: [{ respond: 'wait' }] },
      { version: versionOf('three'), webhooks: [{ respond: 'wait' }] },
    ]);
    const four = after(after(two, drafts), saved(after(two, drafts), 'four'));
    expect(saved(after(two, drafts), 'four')[0]!.data).not.toHaveProperty('webhooks');
    const [again] = activate(four, new ActivateWorkflow(id, author, versionOf('three')), now);
    expect(again!.data).toMatchObject({ version: versionOf('three'), webhooks: [{ respond: 'wait' }] });
  });

  it('knows no version that was never saved', () => {
    expect(() => activate(two, new ActivateWorkflow(id, author, 'x'), now)).toThrow(
      expect.objectContaining({ code: 'workflow.version_not_found' }),
    );
    expect(() => activate(none, new ActivateWorkflow(id, author, 'x'), now)).toThrow(
      expect.objectContaining({ code: 'workflow.not_found' }),
    );
  });

  it('can be archived once, and come back with any save', () => {
    const command = new ArchiveWorkflow(id, author, 'why not');
    const gone = after(one, archive(one, command, now));
    expect(gone.kind).toBe('archived');
    expect(archive(gone, command, now)).toEqual([]);
    expect(types(saved(gone, 'one'))).toEqual(['workflow.activated']);
    expect(() => archive(none, command, now)).toThrow(expect.objectContaining({ code: 'workflow.not_found' }));
  });
});

describe('a workflow that comes from a file', () => {
  const fromFile = after(none, saved(none, 'one', 'file', 'a.yaml'));

  it('is saved once, however often the file is read', () => {
    expect(saved(fromFile, 'one', 'file', 'a.yaml')).toEqual([]);
  });

  it('gives way to what is saved through the API, also when the unchanged file is read again', () => {
    const changed = after(fromFile, saved(fromFile, 'two', 'api'));
    expect(changed).toMatchObject({ kind: 'active', version: versionOf('two'), origin: 'api' });
    expect(saved(changed, 'one', 'file', 'a.yaml')).toEqual([]);
  });

  it('takes over again when the file changes', () => {
    const changed = after(fromFile, saved(fromFile, 'two', 'api'));
    expect(after(changed, saved(changed, 'three', 'file', 'a.yaml'))).toMatchObject({
      version: versionOf('three'),
      origin: 'file',
      file: 'a.yaml',
    });
  });

  it('comes back when its file comes back as it was', () => {
    const gone = after(fromFile, archive(fromFile, new ArchiveWorkflow(id, author, 'its file was removed'), now));
    expect(types(saved(gone, 'one', 'file', 'a.yaml'))).toEqual(['workflow.activated']);
  });

  it('becomes a file’s when a file says what was saved through the API', () => {
    const drafts = saved(one, 'one', 'file', 'a.yaml');
    expect(after(one, drafts)).toMatchObject({ origin: 'file', file: 'a.yaml', version: versionOf('one') });
  });
});
