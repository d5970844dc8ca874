/** The highest position that this process knows to be in the log, from whatever told it, which never goes back. */
export class Horizon {
  private known = 0n;
  /** Nothing of ours lies before: what others wrote until then is passed over. */
  first = 0n;

  get position(): bigint {
    return this.known;
  }

  reached(position: bigint): void {
    if (position > this.known) this.known = position;
  }
}
