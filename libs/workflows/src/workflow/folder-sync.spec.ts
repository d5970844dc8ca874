import { describe, expect, it } from '@jest/globals';

import { syncOf } from './folder-sync.js';

const file = (name: string, workflow: string | undefined = name) => ({
  file: `${name}.yaml`,
  source: name,
  name: workflow,
});
const broken = (name: string) => ({ file: `${name}.yaml`, source: '?', name: undefined });
const inForce = (name: string, origin: 'file' | 'api' = 'file') => ({ name, origin, file: `${name}.yaml` });

describe('the folder of workflows', () => {
  it('is saved as it is', () => {
    expect(syncOf([file('b'), file('a')], []).save.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('archives what came from a file that is gone', () => {
    expect(syncOf([file('a')], [inForce('a'), inForce('b')]).archive).toEqual(['b']);
  });

  it('archives the old name of a workflow that was renamed in its file', () => {
    const { save, archive } = syncOf([file('a', 'new')], [inForce('a')]);
    expect({ save: save.map(({ name }) => name), archive }).toEqual({ save: ['new'], archive: ['a'] });
  });

  it('leaves alone what was saved through the API', () => {
    expect(syncOf([], [inForce('a', 'api')]).archive).toEqual([]);
  });

  it('keeps the last good version of a file that does not parse any more', () => {
    const { save, archive } = syncOf([broken('a')], [inForce('a'), inForce('b')]);
    expect({ save, archive }).toEqual({ save: [], archive: ['b'] });
  });

  it('takes the first of two files that name one workflow, in the order of their names', () => {
    const { save, duplicates } = syncOf([file('b', 'x'), file('a', 'x')], []);
    expect(save.map(({ file }) => file)).toEqual(['a.yaml']);
    expect(duplicates).toEqual([{ file: 'b.yaml', name: 'x', first: 'a.yaml' }]);
  });
});
