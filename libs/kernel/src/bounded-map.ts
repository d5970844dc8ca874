/**
 * A map of at most `most` entries: where there is no room, the one that was added first goes. For what can be worked out
 * again, where those who ask choose the keys.
 */
export class BoundedMap<K, V> extends Map<K, V> {
  constructor(private readonly most: number) {
    super();
  }

  override set(key: K, value: V): this {
    super.set(key, value);
    if (this.size > this.most) this.delete(this.keys().next().value!);
    return this;
  }
}
