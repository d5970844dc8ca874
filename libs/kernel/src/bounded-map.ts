/**
 * A map of at most `most` entries: where there is no room, the one that was added first goes. For what can be worked out
 * again, where those who ask choose the keys.
 */
export class BoundedMap<K, V> extends Map<K, V> {
  /** Kept, since a new iterator walks over everything that was removed at the front: 10 µs an entry in a map of 10,000. */
  private oldest: MapIterator<K> | undefined;

  constructor(private readonly most: number) {
    super();
  }

  override set(key: K, value: V): this {
    super.set(key, value);
    if (this.size > this.most) this.removeOldest();
    return this;
  }

  /** @returns the value of the entry that was added first, `undefined` if there is none. */
  removeOldest(): V | undefined {
    // An iterator that has reached the end of its map does not continue.
    if (this.size === 0) return undefined;
    const key = (this.oldest ??= this.keys()).next().value!;
    const value = this.get(key);
    this.delete(key);
    return value;
  }
}
