import 'reflect-metadata';

import { describe, expect, it } from '@jest/globals';

import type { Caller } from '#libs/access/src/caller.js';

import { testSteps } from '../../testing/library.js';
import { WorkflowTable } from '../workflow/workflow.table.js';
import { RunController } from './run.controller.js';

describe('starting a run of a workflow that the table does not hold', () => {
  const caller: Caller = { orgId: 'org_a', actor: 'token/tok_1', tokenId: 'tok_1', roles: ['admin'] };
  const table = new WorkflowTable(testSteps);
  const nothing = {} as never;
  const runs = new RunController(nothing, table, nothing, nothing);
  const begin = () => runs.begin(caller, 'deploy', { body: {} });

  it('is refused as not found', async () => {
    await expect(begin()).rejects.toMatchObject({ name: 'Rejected', code: 'workflow.not_found' });
  });

  it('is to be tried again while the table is incomplete: the workflow may exist', async () => {
    table.incomplete = true;
    await expect(begin()).rejects.toMatchObject({ name: 'Transient', code: 'table.incomplete' });
  });
});
