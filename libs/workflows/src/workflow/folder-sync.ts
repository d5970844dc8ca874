import type { WebhookUse } from '#libs/events/src/shapes/workflow-shape.js';

import type { Origin } from './workflow.js';

/** A file of the folder, read. */
export interface SourceFile {
  readonly file: string;
  readonly source: string;
  /** The workflow's name; `undefined` if the text does not parse. */
  readonly name: string | undefined;
  /** The webhook triggers in it. */
  readonly webhooks?: readonly WebhookUse[];
}

export interface ActiveWorkflowFile {
  readonly name: string;
  readonly origin: Origin;
  readonly file: string | undefined;
}

export interface Sync {
  readonly save: readonly (SourceFile & { readonly name: string })[];
  /** Names. */
  readonly archive: readonly string[];
  /** Files with a workflow that another file has too. */
  readonly duplicates: readonly { readonly file: string; readonly name: string; readonly first: string }[];
}

/**
 * What to save and archive so that the active workflows follow the folder. A file that does not parse changes nothing: the
 * last good version of what came from it stays. What was saved through the API last is not the folder's to remove.
 */
export function syncOf(files: readonly SourceFile[], active: readonly ActiveWorkflowFile[]): Sync {
  const save = new Map<string, SourceFile & { readonly name: string }>();
  const duplicates: { file: string; name: string; first: string }[] = [];
  for (const one of files.toSorted((a, b) => (a.file < b.file ? -1 : 1))) {
    const { name } = one;
    if (name === undefined) continue;
    const first = save.get(name);
    if (first) duplicates.push({ file: one.file, name, first: first.file });
    else save.set(name, { ...one, name });
  }
  const broken = new Set(files.filter(({ name }) => name === undefined).map(({ file }) => file));
  const archive = active
    .filter(
      ({ name, origin, file }) => origin === 'file' && !save.has(name) && !(file !== undefined && broken.has(file)),
    )
    .map(({ name }) => name);
  return { save: [...save.values()], archive, duplicates };
}
