import type { PendingAction } from './pending-action.js';

type Details = PendingAction['details'];

/**
 * What a batch of events changes among the pending actions, for three statements, however many they are: remove, then give
 * new details, then add what is not there.
 */
export class PendingChanges {
  readonly removed = new Set<string>();
  /** New details of actions from before the batch. */
  readonly details = new Map<string, Details>();
  readonly added = new Map<string, PendingAction>();

  request(action: PendingAction): void {
    if (!this.added.has(action.id)) this.added.set(action.id, action);
  }

  retry(id: string, details: Details): void {
    if (!this.removed.has(id)) this.details.set(id, details);
    const added = this.added.get(id);
    if (added) this.added.set(id, { ...added, details });
  }

  end(id: string): void {
    this.removed.add(id);
    this.details.delete(id);
    this.added.delete(id);
  }
}
