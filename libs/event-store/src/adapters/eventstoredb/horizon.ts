/** The highest position that this process knows to be in the log, from whatever told it. Never goes back. */
export class Horizon {
  private known = 0n;

  get position(): bigint {
    return this.known;
  }

  reached(position: bigint): void {
    if (position > this.known) this.known = position;
  }
}
