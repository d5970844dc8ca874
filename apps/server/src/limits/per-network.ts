/** A bounded amount of something, of which no network may take more than a share. */
export class Shares {
  private taken = 0;
  private readonly byNetwork = new Map<string, number>();

  constructor(
    private readonly whole: number,
    private readonly share: number,
  ) {}

  /** Whether there was enough left. */
  take(network: string, amount: number): boolean {
    const mine = this.byNetwork.get(network) ?? 0;
    if (this.taken + amount > this.whole || mine + amount > this.share) return false;
    this.taken += amount;
    this.byNetwork.set(network, mine + amount);
    return true;
  }

  give(network: string, amount: number): void {
    this.taken -= amount;
    const left = (this.byNetwork.get(network) ?? 0) - amount;
    if (left > 0) this.byNetwork.set(network, left);
    else this.byNetwork.delete(network);
  }
}
