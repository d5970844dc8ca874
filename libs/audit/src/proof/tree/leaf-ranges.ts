/** Places in a tree as a text, such as `0-99,105`. They must rise. */
export function rangeText(places: readonly number[]): string {
  const ranges: string[] = [];
  for (let at = 0; at < places.length;) {
    let end = at;
    while (places[end + 1] === places[end]! + 1) end += 1;
    ranges.push(at === end ? `${places[at]}` : `${places[at]}-${places[end]}`);
    at = end + 1;
  }
  return ranges.join(',');
}

/** Ranges of places in a tree: two numbers for each range, however many places it has. */
export class LeafRanges {
  private readonly starts: number[] = [];
  private readonly ends: number[] = [];
  private isSorted = true;

  add(text: string): void {
    for (const range of text.split(',')) {
      const [, first, last = first] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(range) ?? [];
      if (first === undefined) continue;
      this.isSorted &&= this.starts.length === 0 || this.starts.at(-1)! < Number(first);
      this.starts.push(Number(first));
      this.ends.push(Number(last));
    }
  }

  has(place: number): boolean {
    this.sort();
    let [low, high] = [0, this.starts.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (this.starts[middle]! > place) high = middle - 1;
      else if (this.ends[middle]! < place) low = middle + 1;
      else return true;
    }
    return false;
  }

  /** No place is removed twice: ranges do not overlap. */
  private sort(): void {
    if (this.isSorted) return;
    const order = this.starts.map((_, index) => index).sort((a, b) => this.starts[a]! - this.starts[b]!);
    const [starts, ends] = [order.map((index) => this.starts[index]!), order.map((index) => this.ends[index]!)];
    this.starts.splice(0, Infinity, ...starts);
    this.ends.splice(0, Infinity, ...ends);
    this.isSorted = true;
  }
}
