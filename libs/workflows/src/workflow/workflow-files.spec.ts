import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from '@jest/globals';

import { MemoryEventStore } from '#libs/event-store/src/adapters/memory/memory-event-store.js';
import { SystemClock } from '#libs/kernel/src/clock.js';
import { NOTHING_KNOWN, type OrganisationVocabulary } from '#libs/vocabulary/src/vocabulary.js';

import { testSteps } from '../../testing/library.js';
import { WorkflowFiles } from './workflow-files.adapter.js';
import { WorkflowTable } from './workflow.table.js';

let folder: string;
let logged: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-workflows-'));
  logged = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Syncs the folder for organisations with what each of them has. */
function filesFor(known: Readonly<Record<string, Partial<OrganisationVocabulary>>>): WorkflowFiles {
  const store = new MemoryEventStore();
  const nothing = () => undefined;
  const table = new WorkflowTable(testSteps);
  return new WorkflowFiles({
    folder,
    organisations: { list: () => Object.keys(known).map((id) => ({ id })) as never, watch: nothing },
    store,
    clock: new SystemClock(),
    progress: { whenProcessed: () => Promise.resolve() },
    library: testSteps,
    table,
    vocabulary: { name: 'vocabulary.names', of: (orgId) => ({ ...NOTHING_KNOWN, ...known[orgId] }) },
    log: {
      debug: nothing,
      info: nothing,
      error: nothing,
      warn: (fields, message) => {
        const { organisations } = fields as { organisations?: string[] };
        logged.push(`${message.replace(`${folder}/`, '')}${organisations ? ` (${organisations.join(', ')})` : ''}`);
      },
    },
  });
}

const WORKFLOW = `name: hook
triggers: [{ type: webhook, integration: ordres }]
steps: [{ uses: workflow, with: { workflow: hook, detached: true } }]
`;
const orders = { integrations: [{ id: 'int_1', name: 'orders', sends: false, tracks: false }] };

it('names what the organisation does not have, with the nearest name and the place', async () => {
  await writeFile(join(folder, 'hook.yaml'), WORKFLOW);
  const files = filesFor({ org_1: orders });
  await files.sync();
  expect(logged).toEqual([expect.stringMatching(/^hook\.yaml:2:42: warning: .*"ordres".* Did you mean "orders"\?/)]);
  // Once for each version of the file.
  await writeFile(join(folder, 'other.yaml'), 'name: other\nsteps: [{ wait: { for: 1s } }]\n');
  await files.sync();
  expect(logged).toHaveLength(1);
});

it('says which organisations a warning concerns, if it is not all of them', async () => {
  await writeFile(join(folder, 'hook.yaml'), WORKFLOW.replace('ordres', 'orders'));
  await filesFor({ org_1: orders, org_2: {}, org_3: orders }).sync();
  expect(logged).toEqual([expect.stringMatching(/"orders".*\(org_2\)$/)]);
});

it('warns about an event type that the organisation does not have, and knows one that it has', async () => {
  const text = 'name: own\ntriggers: [{ type: event, event: deploy.finished }]\nsteps: [{ wait: { for: 1s } }]\n';
  await writeFile(join(folder, 'own.yaml'), text);
  const eventTypes = new Map([['deploy.finished', { schema: {}, archived: false }]]);
  await filesFor({ org_1: { eventTypes } }).sync();
  expect(logged).toEqual([]);
  await filesFor({ org_1: {} }).sync();
  expect(logged).toEqual([expect.stringMatching(/^own\.yaml:2:\d+: warning: .*"deploy\.finished"/)]);
});
