import { typesOf } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';

import type { Definition, Trigger } from '../language/definition.js';
import { parseWorkflow } from '../language/reading/parse-workflow.js';
import type { StepLibrary } from '../steps/step-library.js';
import { listensTo } from '../triggers/registry.js';
import { type Origin, workflow } from './workflow.js';

/** An active workflow. */
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

/** What may start runs of a workflow. */
const triggersOf = (definition: Definition | undefined): readonly Trigger[] =>
  definition === undefined || definition.disabled ? [] : definition.triggers;

/** Active workflows, and which of their triggers listen to an event type. */
export class WorkflowTable implements Table {
  readonly name = followers.workflows;
  readonly reads = typesOf(workflow);
  incomplete = false;

  private readonly active = new Map<string, ActiveWorkflow>();
  private readonly paused = new Set<string>();
  private readonly ids = new Map<string, string>();
  private readonly sources = new Map<string, Map<string, string>>();
  private listeners: Map<string, Map<string, readonly Listener[]>> | undefined;
  private readonly wanted = new BoundedMap<string, boolean>(MAX_REMEMBERED);

  constructor(private readonly library: StepLibrary) {}

  clear(): void {
    this.active.clear();
    this.paused.clear();
    this.ids.clear();
    this.sources.clear();
    this.forget();
  }

  find(orgId: string, name: string): ActiveWorkflow | undefined {
    const id = this.ids.get(`${orgId} ${name}`);
    return id === undefined ? undefined : this.active.get(id);
  }

  /** The active workflow with this id. */
  get(id: string): ActiveWorkflow | undefined {
    return this.active.get(id);
  }

  all(orgId: string): readonly ActiveWorkflow[] {
    return [...this.active.values()].filter((workflow) => workflow.orgId === orgId);
  }

  /** Whether a workflow of any organisation listens to this type: others cost one look-up. */
  mayListen(type: string): boolean {
    let known = this.wanted.get(type);
    if (known !== undefined) return known;
    known = [...this.active.values()].some(({ definition }) =>
      triggersOf(definition).some((trigger) => listensTo(trigger, type)),
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
    const found = this.all(orgId).flatMap((workflow) =>
      triggersOf(workflow.definition).flatMap((trigger, index) =>
        listensTo(trigger, type) ? [{ workflow, index, trigger }] : [],
      ),
    );
    byType.set(type, found.length === 0 ? NONE : found);
    return found;
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
      const parsed = parseWorkflow(source, this.library);
      const definition = parsed.ok ? parsed.definition : undefined;
      const paused = this.paused.has(workflowId);
      this.active.set(workflowId, { id: workflowId, orgId, name, version, origin, file, definition, paused });
      this.ids.set(`${orgId} ${name}`, workflowId);
      this.forget();
    } else if (event.is('workflow.archived')) {
      this.active.delete(event.data.workflowId);
      this.forget();
    } else if (event.is('workflow.paused', 'workflow.resumed')) this.pause(event.data.workflowId, event.type);
  }

  private pause(id: string, type: 'workflow.paused' | 'workflow.resumed'): void {
    const paused = type === 'workflow.paused';
    if (paused) this.paused.add(id);
    else this.paused.delete(id);
    const workflow = this.active.get(id);
    if (workflow) this.active.set(id, { ...workflow, paused });
    this.forget();
  }

  private forget(): void {
    this.listeners = undefined;
    this.wanted.clear();
  }
}
