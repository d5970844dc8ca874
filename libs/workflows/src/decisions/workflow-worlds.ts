import type { Consequence, World, WorldRequest, Worlds, WorldSource } from '#libs/event-index/src/worlds.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readTypes } from '#libs/event-store/src/reading.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { PREFIXES } from '#libs/kernel/src/ids.js';
import type { JsonObject } from '#libs/kernel/src/json.js';

import { judgeTriggers, stateOf } from './judge-triggers.js';
import { defaultInputs } from '../language/inputs.js';
import { parseWorkflow } from '../language/reading/parse-workflow.js';
import { savedVocabulary } from '../language/vocabulary.js';
import type { StepLibrary } from '../steps/step-library.js';
import { InboundIntegrations } from '../triggers/inbound-integrations.js';
import { listensTo } from '../triggers/registry.js';
import { Definitions } from '../workflow/definitions.js';
import { workflowIdOf } from '../workflow/workflow.js';
import { type ActiveWorkflow, type Listener, WorkflowTable } from '../workflow/workflow.table.js';
import { isIgnored, loopOf } from './may-start.js';

/**
 * Triggers of workflows that decide about events of the past: those of a place in the log, versions, or drafts. Flow control
 * is left out, since it depends on the events before.
 */
export class WorkflowWorlds implements WorldSource {
  constructor(
    private readonly library: StepLibrary,
    worlds: Worlds,
  ) {
    worlds.add(this);
  }

  async worldOf(request: WorldRequest): Promise<World> {
    const { orgId, at, log, chosen } = request;
    if (chosen.rules && !chosen.workflows) return { decide: () => [], isAsked: () => false };
    const table = new WorkflowTable(this.library);
    const integrations = new InboundIntegrations();
    for await (const event of readTypes(log, [...table.reads, ...integrations.reads], at)) {
      if (!event.hasMetadata || event.metadata.orgId !== orgId) continue;
      if (event.is(...integrations.reads)) integrations.apply(event);
      else table.apply(event);
    }
    const named = chosen.workflows && (await this.chosen(request, chosen.workflows, table));
    const listenersTo = (type: string): readonly Listener[] =>
      named
        ? named.flatMap((workflow) => listenersOf(workflow).filter(({ trigger }) => listensTo(trigger, type)))
        : table.listenersTo(orgId, type);
    return {
      decide: (event) => decide(listenersTo(event.type), integrations, event),
      isAsked: (by) => (named ? named.some(({ id }) => id === by) : by.startsWith(OF_WORKFLOWS)),
    };
  }

  private chosen(
    { orgId, log }: WorldRequest,
    workflows: NonNullable<WorldRequest['chosen']['workflows']>,
    table: WorkflowTable,
  ): Promise<readonly ActiveWorkflow[]> {
    const definitions = new Definitions(log, this.library);
    return Promise.all(
      workflows.map(async ({ workflow: name, version, source }, index): Promise<ActiveWorkflow> => {
        const pointer = `/with/workflows/${index}`;
        if (source !== undefined) return this.draft(orgId, source, `${pointer}/source`);
        const known = table.find(orgId, name!);
        if (!known)
          throw unknown(`${pointer}/workflow`, `Must be the name of an active workflow. There is no "${name!}".`);
        if (version === undefined) return known;
        const hash = await definitions.versionNamed(known.id, version);
        const definition = hash === undefined ? undefined : await definitions.find(known.id, hash);
        if (hash === undefined || !definition)
          throw unknown(`${pointer}/version`, `Must be a version of "${name!}" that can run. "${version}" is none.`);
        return { ...known, version: hash, definition };
      }),
    );
  }

  private draft(orgId: string, source: string, pointer: string): ActiveWorkflow {
    const parsed = parseWorkflow(source, savedVocabulary(this.library));
    if (!parsed.ok) {
      const [{ detail, line, column }] = parsed.problems as readonly [(typeof parsed.problems)[number]];
      throw new Rejected(
        'invalid',
        'workflow.invalid',
        `The workflow is invalid: line ${line}, column ${column}: ${detail}`,
        { problems: parsed.problems.map((problem) => ({ ...problem, pointer: pointer + problem.pointer })) },
      );
    }
    const { definition } = parsed;
    const { name } = definition;
    const state = {
      origin: 'api' as const,
      file: undefined,
      paused: false,
      archived: false,
      schedules: new Map<string, Date>(),
    };
    return { id: workflowIdOf(orgId, name), orgId, name, version: 'draft', definition, ...state };
  }
}

const OF_WORKFLOWS = `${PREFIXES.workflow}_`;

const unknown = (pointer: string, detail: string): Rejected =>
  new Rejected('invalid', 'replay.unknown_workflow', `The replay is invalid: ${pointer}: ${detail}`, {
    problems: [{ pointer, detail, code: 'replay.unknown_workflow' }],
  });

const listenersOf = (workflow: ActiveWorkflow): readonly Listener[] =>
  (workflow.definition?.triggers ?? []).map((trigger, index) => ({ workflow, index, trigger }));

function decide(
  listeners: readonly Listener[],
  integrations: InboundIntegrations,
  event: RecordedEvent,
): readonly Consequence[] {
  if (listeners.length === 0) return [];
  const { fits, errors } = judgeTriggers(listeners, event, integrations.receiverOf(event), (workflow) =>
    isIgnored(event, workflow),
  );
  const starting = new Set(fits.map(({ listener }) => listener.workflow));
  const about = ({ workflow: { id: by, name, version } }: Listener) => ({
    kind: 'workflow' as const,
    by,
    name,
    version,
  });
  return [
    ...fits.map(({ listener }): Consequence => {
      const { workflow } = listener;
      const held = stateOf(workflow) ?? loopOf(event, workflow);
      if (held) return { ...about(listener), outcome: 'skipped', reason: held.reason, requests: [] };
      const data: JsonObject = { workflow: workflow.name, inputs: defaultInputs(workflow.definition!) };
      return { ...about(listener), outcome: 'started', requests: [{ type: 'workflow.requested', data }] };
    }),
    ...errors
      .filter(({ listener }) => !starting.has(listener.workflow))
      .map(({ listener, error }): Consequence => ({
        ...about(listener),
        outcome: 'errored',
        reason: error,
        requests: [],
      })),
  ];
}
