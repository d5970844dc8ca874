import { describe, expect, it } from '@jest/globals';

import { testSteps } from '../../../testing/library.js';
import { VirtualWorld } from '../../../testing/virtual-world.js';
import { WorkflowTable } from '../../workflow/workflow.table.js';
import { restartOf } from './restart-run.js';

describe('a restart on the latest version of a workflow that the table does not hold', () => {
  const restart = async (isIncomplete: boolean) => {
    const world = new VirtualWorld({
      yaml: 'name: x\ntriggers: [{ type: manual }]\nsteps: [{ uses: echo, with: { value: 1 } }]\n',
    });
    await world.begin();
    await world.toTheEnd();
    const workflows = new WorkflowTable(testSteps);
    workflows.incomplete = isIncomplete;
    const { runId, orgId, store } = world;
    const versions = { find: () => Promise.resolve(undefined), workflows };
    return restartOf(store, versions, { runId, orgId, newRunId: 'run_2', latest: true });
  };

  it('is refused', async () => {
    await expect(restart(false)).rejects.toMatchObject({ name: 'Rejected', code: 'workflow.not_active' });
  });

  it('must be tried again while the table is incomplete: the workflow may be active', async () => {
    await expect(restart(true)).rejects.toMatchObject({ name: 'Transient', code: 'table.incomplete' });
  });
});
