import { type FSWatcher, watch } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { OrganisationTable } from '#libs/access/src/organisation/organisation.table.js';
import { type Committed, execute } from '#libs/event-store/src/command-handlers.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import { ENGINE } from '#libs/events/src/envelope.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { messageOf } from '#libs/kernel/src/errors.js';
import { type Log, silentLog } from '#libs/kernel/src/log.js';
import type { VocabularyTable } from '#libs/vocabulary/src/vocabulary.table.js';

import { MAX_SOURCE_BYTES, parseWorkflow } from '../language/reading/parse-workflow.js';
import { vocabularyOf } from '../language/vocabulary.js';
import type { StepLibrary } from '../steps/step-library.js';
import { webhooksOf } from '../triggers/webhook.trigger.js';
import { type SourceFile, syncOf } from './folder-sync.js';
import {
  ArchiveWorkflow,
  SaveWorkflow,
  archive,
  save,
  type Workflow,
  versionOf,
  workflow,
  workflowIdOf,
} from './workflow.js';
import type { WorkflowTable } from './workflow.table.js';

export interface WorkflowFilesOptions {
  /** Absolute. */
  readonly folder: string;
  /** Each of them has these workflows, that of retries above all. */
  readonly organisations: Pick<OrganisationTable, 'list' | 'watch'>;
  readonly store: EventStore;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly library: StepLibrary;
  /** Filled before `start`. */
  readonly table: WorkflowTable;
  /** What each organisation has, for warnings. */
  readonly vocabulary: Pick<VocabularyTable, 'name' | 'of'>;
  readonly log?: Log;
}

/** Editors write a file in several steps; a sync begins when there was no change for so long. */
const QUIET_MS = 150;
/** Some file systems report no changes. */
const POLL_MS = 5_000;
/** Organisations for which a file is checked for warnings. */
const MOST_WARNED = 20;
const authorIn = (orgId: string) => ({ orgId, actor: ENGINE });

/**
 * Keeps the active workflows as the folder has them: `*.yaml` and `*.yml`, not those that begin with a dot, nor tests
 * (`*.test.yaml`). Several processes may do this at once: saving the same text twice is saving it once.
 */
export class WorkflowFiles {
  private readonly log: Log;
  private watcher: FSWatcher | undefined;
  private timer: NodeJS.Timeout | undefined;
  private poll: NodeJS.Timeout | undefined;
  private syncing: Promise<void> = Promise.resolve();
  private seen = '';
  /** What was logged about a file: it is not logged again until the file changes. */
  private readonly said = new Map<string, string>();
  /** The version of a file whose warnings were logged. */
  private readonly warned = new Map<string, string>();

  constructor(private readonly options: WorkflowFilesOptions) {
    this.log = options.log ?? silentLog;
  }

  /** Resolves when the folder has been synced. */
  async start(): Promise<void> {
    await this.sync();
    this.options.organisations.watch(() => this.soon());
    try {
      this.watcher = watch(this.options.folder, { persistent: false }, () => this.soon());
      // A folder that is removed while it is watched; the poll goes on looking for it.
      this.watcher.on('error', () => this.watcher?.close());
    } catch {
      // No folder, or no watching here: the poll finds out.
    }
    this.poll = setInterval(() => void this.sync(), POLL_MS);
    this.poll.unref();
  }

  async stop(): Promise<void> {
    this.watcher?.close();
    clearTimeout(this.timer);
    clearInterval(this.poll);
    await this.syncing;
  }

  /** One at a time; never rejects: a folder that cannot be read now is read later. */
  sync(): Promise<void> {
    this.syncing = this.syncing.then(() =>
      this.once().catch((error: unknown) =>
        this.log.warn(
          { folder: this.options.folder, error: messageOf(error) },
          'the workflows folder cannot be read now',
        ),
      ),
    );
    return this.syncing;
  }

  private soon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.sync(), QUIET_MS);
    this.timer.unref();
  }

  private async once(): Promise<void> {
    const { folder, organisations, table, vocabulary, progress } = this.options;
    const names = await filesOf(folder);
    if (names === undefined) {
      this.say(
        folder,
        'gone',
        'the workflows folder does not exist; active workflows stay. Set MILLRACE_WORKFLOWS_DIR.',
      );
      return;
    }
    const orgIds = organisations.list().map(({ id }) => id);
    const state = [...orgIds, ...names.map(({ file, changed }) => `${file} ${changed}`)].join('\n');
    if (state === this.seen) return;
    const files = await Promise.all(names.map(({ file }) => this.read(file)));
    let position = 0n;
    for (const orgId of orgIds) {
      const { save: toSave, archive: toArchive, duplicates } = syncOf(files, table.all(orgId));
      for (const { file, name, first } of duplicates)
        this.say(file, `duplicate ${name}`, `${first} already has the workflow "${name}": this file is ignored`);
      for (const one of toSave) position = later(position, await this.save(orgId, one));
      for (const name of toArchive) position = later(position, await this.archive(orgId, name));
    }
    // The next sync must not compare with a table that has not seen this one yet, and workflows may name each other.
    for (const { name } of [table, vocabulary]) await progress.whenProcessed(name, position);
    this.seen = state;
    for (const file of files) this.warn(file, orgIds.slice(0, MOST_WARNED));
  }

  private async read(file: string): Promise<SourceFile> {
    const path = join(this.options.folder, file);
    const { size } = await stat(path);
    const source = size > MAX_SOURCE_BYTES ? '' : await readFile(path, 'utf8');
    const parsed = parseWorkflow(source, this.options.library);
    if (parsed.ok) {
      this.said.delete(file);
      const { name, triggers } = parsed.definition;
      return { file, source, name, webhooks: webhooksOf(triggers) };
    }
    const [{ line, column, detail }] = parsed.problems as [(typeof parsed.problems)[0]];
    const more = parsed.problems.length > 1 ? ` (and ${parsed.problems.length - 1} more)` : '';
    const reason = size > MAX_SOURCE_BYTES ? 'the file is longer than 256 KiB' : `${detail}${more}`;
    this.say(file, source, `${path}:${line}:${column}: ${reason} The last good version stays active.`);
    return { file, source, name: undefined };
  }

  /**
   * Warns about what is probably not meant, once for each version of a file. What an organisation does not have, it may get
   * later: such a file is active all the same.
   */
  private warn({ file, source, name }: SourceFile, orgIds: readonly string[]): void {
    const version = versionOf(source);
    if (name === undefined || this.warned.get(file) === version) return;
    this.warned.set(file, version);
    const { folder, library, vocabulary } = this.options;
    const found = new Map<string, string[]>();
    for (const orgId of orgIds) {
      const parsed = parseWorkflow(source, vocabularyOf(library, vocabulary.of(orgId)));
      for (const { line, column, detail } of [...(parsed.ok ? [] : parsed.problems), ...parsed.warnings()]) {
        const message = `${join(folder, file)}:${line}:${column}: warning: ${detail}`;
        found.set(message, [...(found.get(message) ?? []), orgId]);
      }
    }
    for (const [message, concerned] of found)
      this.log.warn({ file, ...(concerned.length < orgIds.length && { organisations: concerned }) }, message);
  }

  private async save(
    orgId: string,
    { file, source, name, webhooks }: SourceFile & { readonly name: string },
  ): Promise<bigint> {
    const { store, clock } = this.options;
    const command = new SaveWorkflow(workflowIdOf(orgId, name), authorIn(orgId), name, source, 'file', file, webhooks);
    const committed: Committed<Workflow> = await execute(store, clock, workflow, save, command);
    if (committed.position > 0n) this.log.info({ workflow: name, file }, 'workflow active');
    return committed.position;
  }

  private async archive(orgId: string, name: string): Promise<bigint> {
    const { store, clock } = this.options;
    const command = new ArchiveWorkflow(workflowIdOf(orgId, name), authorIn(orgId), 'its file was removed');
    const { position } = await execute(store, clock, workflow, archive, command);
    if (position > 0n) this.log.info({ workflow: name }, 'workflow archived: its file was removed');
    return position;
  }

  private say(about: string, what: string, message: string): void {
    if (this.said.get(about) === what) return;
    this.said.set(about, what);
    this.log.warn({ file: about }, message);
  }
}

const later = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** A file that cannot be read now is not one that was removed: its workflow must stay active. */
function unlessGone(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

/** `undefined` if there is no such folder. */
async function filesOf(folder: string): Promise<{ file: string; changed: string }[] | undefined> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    return unlessGone(error);
  }
  const wanted = names.filter((name) => /^[^.].*\.ya?ml$/.test(name) && !/\.test\.ya?ml$/.test(name)).sort();
  const stats = await Promise.all(
    wanted.map(async (file) => {
      const found = await stat(join(folder, file)).catch(unlessGone);
      return found?.isFile() ? [{ file, changed: `${found.mtimeMs} ${found.size} ${found.ino}` }] : [];
    }),
  );
  return stats.flat();
}
