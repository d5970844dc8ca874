import { slice } from '#libs/event-store/src/command-handlers.js';
import { pastKind } from '#libs/event-store/src/past-kind.js';

import { type Workflow, workflow, workflowIdOf } from './workflow.js';

interface PastWorkflow {
  readonly workflow: Workflow;
  /** Which version was active last. */
  readonly version: string | undefined;
  /** Texts by version. */
  readonly sources: Readonly<Record<string, string>>;
}

const after = (state: PastWorkflow, workflow: Workflow): PastWorkflow =>
  workflow === state.workflow
    ? state
    : { ...state, workflow, version: workflow.kind === 'active' ? workflow.version : state.version };

const { evolve } = workflow;

/** With the texts, which commands on workflows do not need. */
const pastWorkflow = slice<PastWorkflow>()({
  name: workflow.name,
  stream: workflow.stream,
  initial: { workflow: workflow.initial, version: undefined, sources: {} },
  evolve: {
    'workflow.saved': (state, data, event) => ({
      ...after(state, evolve['workflow.saved'](state.workflow, data, event)),
      sources: { ...state.sources, [data.version]: data.source },
    }),
    'workflow.activated': (state, data, event) =>
      after(state, evolve['workflow.activated'](state.workflow, data, event)),
    'workflow.archived': (state, data, event) => after(state, evolve['workflow.archived'](state.workflow, data, event)),
    'workflow.paused': (state, data, event) => after(state, evolve['workflow.paused'](state.workflow, data, event)),
    'workflow.resumed': (state, data, event) => after(state, evolve['workflow.resumed'](state.workflow, data, event)),
  },
});

/** Workflows as they were, with the text that was in force. */
export const pastWorkflows = pastKind({
  name: 'workflows',
  slice: pastWorkflow,
  key: 'name',
  idOf: workflowIdOf,
  details: ['source'],
  show: ({ workflow: state, version, sources }, { id }) => {
    if (state.kind === 'unknown' || version === undefined) return undefined;
    const { name, versions, origin, file = null, paused, kind: status } = state;
    const number = versions.indexOf(version) + 1;
    return { id, name, status, version, number, origin, file, paused, source: sources[version] ?? null };
  },
});
