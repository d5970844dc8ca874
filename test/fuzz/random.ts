/** Randomness that comes back with its seed (splitmix32): an input is found again by the number that made it. */
export class Random {
  private state: number;

  constructor(seed: number, stream: string) {
    this.state = seed >>> 0;
    for (const letter of stream) this.state = Math.imul(this.state ^ letter.charCodeAt(0), 0x01000193) >>> 0;
    this.next();
  }

  /** 0 to just below 2^32. */
  next(): number {
    this.state = (this.state + 0x9e3779b9) >>> 0;
    let z = this.state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }

  /** A whole number from 0 to just below `limit`; 0 for a limit of 0. */
  below(limit: number): number {
    return limit < 1 ? 0 : this.next() % limit;
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; at++) bytes[at] = this.next() & 0xff;
    return bytes;
  }

  /** Printable ASCII. */
  text(length: number): string {
    let text = '';
    for (let at = 0; at < length; at++) text += String.fromCharCode(0x20 + this.below(95));
    return text;
  }
}
