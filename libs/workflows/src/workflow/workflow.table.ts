import { typesOf } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';

import type { Definition, Trigger } from '../language/definition.js';
import { parseWorkflow } from '../language/reading/parse-workflow.js';
import { savedVocabulary } from '../language/vocabulary.js';
import type { StepLibrary } from '../steps/step-library.js';
import { listensTo } from '../triggers/registry.js';
import { isSchedule } from '../triggers/schedule.trigger.js';
import { type Origin, workflow } from './workflow.js';

/** A workflow with the version that is active, or was when it was archived. */
export interface ActiveWorkflow {
  readonly id: string;
  readonly orgId: string;
  readonly name: string;
  readonly version: string;
  readonly origin: Origin;
  readonly file: string | undefined;
  /** `undefined` if the version no longer parses, for instance since a plug-in is gone. */
  readonly definition: Definition | undefined;
  /** Its triggers start no runs. */
  readonly paused: boolean;
  /** Starts no runs. What looks for a workflow does not find it; its triggers are asked, to say so. */
  readonly archived: boolean;
  /** Since when it has had each of its schedules without a break, by their keys. Earlier times were never missed. */
  readonly schedules: ReadonlyMap<string, Date>;
}

export interface Listener {
  readonly workflow: ActiveWorkflow;
  /** Index of the trigger in the definition. */
  readonly index: number;
  readonly trigger: Trigger;
}

/** Most event types whose listeners are remembered. */
const MAX_REMEMBERED = 10_000;
const NONE: readonly Listener[] = [];

type Labels = Readonly<Record<string, string>>;

/** Workflows, and which of their triggers listen to an event type: those of archived and disabled ones too. */
export class WorkflowTable implements Table {
  readonly name = followers.workflows;
  readonly reads = typesOf(workflow);
  incomplete = false;

  private readonly known = new Map<string, ActiveWorkflow>();
  private readonly paused = new Set<string>();
  private readonly ids = new Map<string, string>();
  private readonly sources = new Map<string, Map<string, string>>();
  private listeners: Map<string, Map<string, readonly Listener[]>> | undefined;
  private readonly wanted = new BoundedMap<string, boolean>(MAX_REMEMBERED);

  constructor(private readonly library: StepLibrary) {}

  clear(): void {
    this.known.clear();
    this.paused.clear();
    this.ids.clear();
    this.sources.clear();
    this.forget();
  }

  /** The active workflow with this name. */
  find(orgId: string, name: string): ActiveWorkflow | undefined {
    const workflow = this.findAny(orgId, name);
    return workflow?.archived ? undefined : workflow;
  }

  /** The same, also where it is archived. */
  findAny(orgId: string, name: string): ActiveWorkflow | undefined {
    const id = this.ids.get(`${orgId} ${name}`);
    return id === undefined ? undefined : this.known.get(id);
  }

  /** The active workflow with this id. */
  get(id: string): ActiveWorkflow | undefined {
    const workflow = this.known.get(id);
    return workflow?.archived ? undefined : workflow;
  }

  /** Active ones. */
  all(orgId: string): readonly ActiveWorkflow[] {
    return [...this.known.values()].filter((workflow) => workflow.orgId === orgId && !workflow.archived);
  }

  /** Names of the workflows that have all these labels, archived ones too: their runs stay. */
  labelled(orgId: string, labels: Labels): readonly string[] {
    return this.named(orgId, ({ definition }) =>
      Object.entries(labels).every(([key, value]) => {
        const own = definition?.labels ?? {};
        return Object.hasOwn(own, key) && own[key] === value;
      }),
    );
  }

  /** Names of those that a condition holds for, archived ones too. */
  named(orgId: string, holds: (workflow: ActiveWorkflow) => boolean): readonly string[] {
    return [...this.known.values()].flatMap((one) => (one.orgId === orgId && holds(one) ? [one.name] : []));
  }

  /** Whether a workflow of any organisation listens to this type: others cost one look-up. */
  mayListen(type: string): boolean {
    let known = this.wanted.get(type);
    if (known !== undefined) return known;
    known = [...this.known.values()].some(({ definition }) =>
      definition?.triggers.some((trigger) => listensTo(trigger, type)),
    );
    this.wanted.set(type, known);
    return known;
  }

  listenersTo(orgId: string, type: string): readonly Listener[] {
    this.listeners ??= new Map();
    let byType = this.listeners.get(orgId);
    if (!byType) this.listeners.set(orgId, (byType = new BoundedMap<string, readonly Listener[]>(MAX_REMEMBERED)));
    const known = byType.get(type);
    if (known) return known;
    const found = [...this.known.values()]
      .filter((workflow) => workflow.orgId === orgId)
      .flatMap((workflow) =>
        (workflow.definition?.triggers ?? []).flatMap((trigger, index) =>
          listensTo(trigger, type) ? [{ workflow, index, trigger }] : [],
        ),
      );
    byType.set(type, found.length === 0 ? NONE : found);
    return found;
  }

  /** A trigger by its place; of archived workflows too. */
  listenerAt(workflowId: string, index: number): Listener | undefined {
    const workflow = this.known.get(workflowId);
    const trigger = workflow?.definition?.triggers[index];
    return workflow && trigger && { workflow, index, trigger };
  }

  apply(event: RecordedEvent): void {
    const { orgId } = event.metadata;
    if (event.is('workflow.saved')) {
      const { workflowId, version, source } = event.data;
      let versions = this.sources.get(workflowId);
      if (!versions) this.sources.set(workflowId, (versions = new Map<string, string>()));
      versions.set(version, source);
    } else if (event.is('workflow.activated')) {
      const { workflowId, name, version, origin, file } = event.data;
      const source = this.sources.get(workflowId)?.get(version);
      if (source === undefined) return;
      const parsed = parseWorkflow(source, savedVocabulary(this.library));
      const definition = parsed.ok ? parsed.definition : undefined;
      const paused = this.paused.has(workflowId);
      const before = this.known.get(workflowId);
      const schedules = schedulesSince(definition, before?.archived ? undefined : before?.schedules, event.created);
      const state = { paused, archived: false, schedules };
      this.known.set(workflowId, { id: workflowId, orgId, name, version, origin, file, definition, ...state });
      this.ids.set(`${orgId} ${name}`, workflowId);
      this.forget();
    } else if (event.is('workflow.archived')) {
      this.change(event.data.workflowId, { archived: true });
    } else if (event.is('workflow.paused')) {
      this.paused.add(event.data.workflowId);
      this.change(event.data.workflowId, { paused: true });
    } else if (event.is('workflow.resumed')) {
      this.paused.delete(event.data.workflowId);
      this.change(event.data.workflowId, { paused: false });
    }
  }

  private change(id: string, state: Partial<Pick<ActiveWorkflow, 'paused' | 'archived'>>): void {
    const workflow = this.known.get(id);
    if (workflow) this.known.set(id, { ...workflow, ...state });
    this.forget();
  }

  private forget(): void {
    this.listeners = undefined;
    this.wanted.clear();
  }
}

/** A schedule that the version before had too goes on. */
const schedulesSince = (
  definition: Definition | undefined,
  before: ReadonlyMap<string, Date> | undefined,
  now: Date,
): ReadonlyMap<string, Date> =>
  new Map((definition?.triggers ?? []).filter(isSchedule).map(({ key }) => [key, before?.get(key) ?? now]));
