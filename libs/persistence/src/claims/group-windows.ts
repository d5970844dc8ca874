import { BoundedMap } from '#libs/kernel/src/bounded-map.js';

/** Rows of one group at the same time: fixed, or as many as its group turns out to bear. */
export type PerGroup = number | { readonly first: number; readonly most: number };

/** Work that takes longer counts against its group, and no longer against the others. */
export const SLOW_MS = 1_000;
const MAX_GROUPS = 1_000;

/**
 * How much each group is given at a time, as TCP does it: one more for each success, half for each failure and for each row
 * that takes long. So a quick receiver gets all it can take, and one that hangs holds one place.
 */
export class GroupWindows {
  private readonly windows = new BoundedMap<string, number>(MAX_GROUPS);
  readonly first: number;
  private readonly most: number;

  constructor(perGroup: PerGroup) {
    this.first = typeof perGroup === 'number' ? perGroup : perGroup.first;
    this.most = typeof perGroup === 'number' ? perGroup : perGroup.most;
  }

  /** Whether they are adapted at all. */
  get areAdaptive(): boolean {
    return this.first !== this.most;
  }

  of(group: string): number {
    return group === '' ? Infinity : (this.windows.get(group) ?? this.first);
  }

  succeeded(group: string): void {
    this.set(group, this.of(group) + 1);
  }

  failed(group: string): void {
    this.set(group, Math.floor(this.of(group) / 2));
  }

  /** What may be claimed of each group of which that is not {@link first}. */
  rooms(held: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
    const rooms = new Map<string, number>();
    for (const [group, window] of this.windows) rooms.set(group, window);
    for (const [group, count] of held) if (group !== '') rooms.set(group, Math.max(0, this.of(group) - count));
    return rooms;
  }

  private set(group: string, window: number): void {
    if (group === '' || !this.areAdaptive) return;
    this.windows.delete(group);
    const bounded = Math.min(this.most, Math.max(1, window));
    if (bounded !== this.first) this.windows.set(group, bounded);
  }
}
