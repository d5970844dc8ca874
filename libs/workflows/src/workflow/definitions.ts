import type { EventStore } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { streams } from '#libs/events/src/streams.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';

import type { Definition } from '../language/definition.js';
import { parseWorkflow, type ParsedWorkflow } from '../language/reading/parse-workflow.js';
import { savedVocabulary } from '../language/vocabulary.js';
import type { StepLibrary } from '../steps/step-library.js';

const MAX_KEPT = 500;

export type SavedVersion = Pick<DataOf<'workflow.saved'>, 'version' | 'number' | 'source'>;

/** Versions that runs are pinned to, read from the log on first use. A version never changes, so it is kept. */
export class Definitions {
  private readonly kept = new BoundedMap<string, Definition>(MAX_KEPT);

  constructor(
    private readonly store: Pick<EventStore, 'readStream'>,
    private readonly library: StepLibrary,
  ) {}

  /** `undefined` if the version can no longer be used: what is asked can be answered without it. */
  async find(workflowId: string, version: string): Promise<Definition | undefined> {
    try {
      return await this.of(workflowId, version);
    } catch (error) {
      if (!(error instanceof VersionGone)) throw error;
      return undefined;
    }
  }

  /** @throws VersionGone if the version no longer parses: a step that it uses is not installed. */
  async of(workflowId: string, version: string): Promise<Definition> {
    const key = `${workflowId} ${version}`;
    const kept = this.kept.get(key);
    if (kept) return kept;
    const parsed = await this.read(workflowId, version);
    if (!parsed?.ok) {
      const why =
        parsed === undefined ? 'it was never saved' : `line ${parsed.problems[0]?.line}: ${parsed.problems[0]?.detail}`;
      throw new VersionGone(`Version ${version} of the workflow cannot be used: ${why}`);
    }
    this.kept.set(key, parsed.definition);
    return parsed.definition;
  }

  /** The hash of a version that is named by its hash or its number; `undefined` if there is none. */
  async versionNamed(workflowId: string, name: string): Promise<string | undefined> {
    const versions = await this.versions(workflowId);
    return versions.find(({ version, number }) => [version, String(number)].includes(name))?.version;
  }

  /** All versions of a workflow, the first one first. */
  async versions(workflowId: string): Promise<readonly SavedVersion[]> {
    const events = await readWhole(this.store, streams.workflow(workflowId));
    return events.flatMap((event) => (event.is('workflow.saved') ? [event.data] : []));
  }

  private async read(workflowId: string, version: string): Promise<ParsedWorkflow | undefined> {
    const saved = (await this.versions(workflowId)).find((one) => one.version === version);
    return saved && parseWorkflow(saved.source, savedVocabulary(this.library));
  }
}

/** Does not end the run: it waits until what is missing is installed. */
export class VersionGone extends Error {
  override readonly name = 'VersionGone';
}
