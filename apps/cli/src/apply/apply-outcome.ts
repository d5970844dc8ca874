import type { FileProblem, Wanted } from './apply-files.js';
import type { Warning } from '../rule/rule-answers.js';

/** What became of a document, or would. */
export interface Applied {
  /** The path, with the line where the file holds several documents. */
  readonly file: string;
  readonly path: string;
  readonly kind: Wanted['kind'];
  readonly name: string;
  /** `skipped`: nothing was tried, because of another document of its file or because applying ended early. */
  readonly change: 'created' | 'updated' | 'unchanged' | 'failed' | 'skipped';
  readonly problems?: readonly FileProblem[];
  readonly warnings?: readonly Warning[];
}

export interface Outcomes {
  /** In the order of the documents. */
  readonly applied: readonly Applied[];
  /** Why it ended before all was tried: nobody answers any more, or Ctrl-C. */
  readonly stopped?: unknown;
}
