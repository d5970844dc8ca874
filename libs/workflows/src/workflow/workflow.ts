import { createHash } from 'node:crypto';

import { type Decide, slice, type Author, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import type { WebhookUse } from '#libs/events/src/shapes/workflow-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { derivedId } from '#libs/kernel/src/ids.js';

/** Where a version came from. */
export type Origin = DataOf<'workflow.saved'>['origin'];

interface Facts {
  readonly name: string;
  /** Versions in the order in which they were first saved. */
  readonly versions: readonly string[];
  /** Webhook triggers of those versions that have any. */
  readonly webhooks: Readonly<Record<string, readonly WebhookUse[]>>;
  readonly origin: Origin;
  /** Version of the file when it was last saved; the same file again changes nothing. */
  readonly fileVersion: string | undefined;
  readonly file: string | undefined;
  /** Its triggers start no runs. */
  readonly paused: boolean;
}

/**
 * A workflow: `unknown` until its first save; `active` with one active version; `archived` when it starts no more runs,
 * until a version is activated again. Versions are never changed or removed.
 */
export type Workflow =
  | { readonly kind: 'unknown' }
  | ({ readonly kind: 'active'; readonly version: string } & Facts)
  | ({ readonly kind: 'archived' } & Facts);

export type WorkflowEventType =
  'workflow.saved' | 'workflow.activated' | 'workflow.archived' | 'workflow.paused' | 'workflow.resumed';

/** A workflow is found by its name, in its organisation. */
export const workflowIdOf = (orgId: string, name: string): string => derivedId('wf', 'workflow', orgId, name);

/** The same text is the same version, wherever it comes from. */
export const versionOf = (source: string): string => createHash('sha256').update(source).digest('hex').slice(0, 16);

export const workflow = slice<Workflow>()({
  name: 'workflow',
  stream: streams.workflow,
  initial: { kind: 'unknown' },
  evolve: {
    'workflow.saved': (state, { name, version, origin, file, webhooks }) => {
      const facts: Facts =
        state.kind === 'unknown'
          ? { name, versions: [], webhooks: {}, origin, fileVersion: undefined, file, paused: false }
          : state;
      const saved = {
        ...facts,
        versions: [...facts.versions, version],
        webhooks: webhooks ? { ...facts.webhooks, [version]: webhooks } : facts.webhooks,
        ...(origin === 'file' ? { fileVersion: version, file } : {}),
      };
      return state.kind === 'active'
        ? { ...saved, kind: 'active', version: state.version }
        : { ...saved, kind: 'archived' };
    },
    'workflow.activated': (state, { version, origin, file }) =>
      state.kind === 'unknown'
        ? state
        : { ...state, kind: 'active', version, origin, ...(origin === 'file' ? { fileVersion: version, file } : {}) },
    'workflow.archived': (state) => {
      if (state.kind === 'unknown') return state;
      const { name, versions, webhooks, origin, fileVersion, file, paused } = state;
      return { kind: 'archived', name, versions, webhooks, origin, fileVersion, file, paused };
    },
    'workflow.paused': (state) => (state.kind === 'unknown' ? state : { ...state, paused: true }),
    'workflow.resumed': (state) => (state.kind === 'unknown' ? state : { ...state, paused: false }),
  },
});

type Decision<C> = Decide<Workflow, WorkflowEventType, C>;

/** Saves a text and activates it. The text was checked before: what is in the log parses. */
export const save: Decision<SaveWorkflow> = (state, { id, name, source, origin, file, webhooks }) => {
  const version = versionOf(source);
  const known = state.kind !== 'unknown' && state.versions.includes(version);
  if (state.kind === 'active' && state.version === version && (origin === 'api' || state.fileVersion === version))
    return [];
  // The last change wins: a file that has not changed does not undo what was saved through the API.
  if (origin === 'file' && state.kind === 'active' && state.fileVersion === version) return [];
  const where = {
    origin,
    ...(file === undefined ? {} : { file }),
    ...(webhooks.length > 0 && { webhooks: [...webhooks] }),
  };
  const number = state.kind === 'unknown' ? 1 : state.versions.length + 1;
  return [
    ...(known
      ? []
      : [{ type: 'workflow.saved' as const, data: { workflowId: id, name, version, number, source, ...where } }]),
    { type: 'workflow.activated' as const, data: { workflowId: id, name, version, ...where } },
  ];
};

/** Activates a version that was saved before. */
export const activate: Decision<ActivateWorkflow> = (state, { id, version }) => {
  if (state.kind === 'unknown') throw notFound();
  if (!state.versions.includes(version))
    throw new Rejected(
      'not_found',
      'workflow.version_not_found',
      `There is no version ${version} of ${state.name}. GET …/versions lists them.`,
    );
  if (state.kind === 'active' && state.version === version) return [];
  const webhooks = state.webhooks[version];
  return [
    {
      type: 'workflow.activated',
      data: { workflowId: id, name: state.name, version, origin: 'api', ...(webhooks && { webhooks: [...webhooks] }) },
    },
  ];
};

/** Starts no more runs; those under way go on. */
export const archive: Decision<ArchiveWorkflow> = (state, { id, reason }) => {
  if (state.kind === 'unknown') throw notFound();
  if (state.kind === 'archived') return [];
  return [{ type: 'workflow.archived', data: { workflowId: id, name: state.name, reason } }];
};

/** Its triggers start no runs until it is resumed. */
export const pause: Decision<PauseWorkflow> = (state, { id }) => {
  if (state.kind !== 'active') throw notFound();
  return state.paused ? [] : [{ type: 'workflow.paused', data: { workflowId: id, name: state.name } }];
};

export const resume: Decision<ResumeWorkflow> = (state, { id }) => {
  if (state.kind !== 'active') throw notFound();
  return state.paused ? [{ type: 'workflow.resumed', data: { workflowId: id, name: state.name } }] : [];
};

export const notFound = (name?: string): Rejected =>
  new Rejected(
    'not_found',
    'workflow.not_found',
    `There is no workflow${name === undefined ? '' : ` "${name}"`}, or it is archived. GET /api/v1/workflows lists the workflows; to use an archived one again, activate one of its versions.`,
  );

/** `source` must have been checked: a text that does not parse is never saved. */
export class SaveWorkflow extends ThingCommand<Workflow> {
  constructor(
    id: string,
    author: Author,
    readonly name: string,
    readonly source: string,
    readonly origin: Origin,
    readonly file?: string,
    /** The webhook triggers in the text. */
    readonly webhooks: readonly WebhookUse[] = [],
  ) {
    super(id, author);
  }
}

export class ActivateWorkflow extends ThingCommand<Workflow> {
  constructor(
    id: string,
    author: Author,
    readonly version: string,
  ) {
    super(id, author);
  }
}

export class ArchiveWorkflow extends ThingCommand<Workflow> {
  constructor(
    id: string,
    author: Author,
    readonly reason: string,
  ) {
    super(id, author);
  }
}

export class PauseWorkflow extends ThingCommand<Workflow> {}

export class ResumeWorkflow extends ThingCommand<Workflow> {
  /** Told from {@link PauseWorkflow}, which has the same fields. */
  readonly resumes = true;
}
