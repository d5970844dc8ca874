/** Where something stands in a text: both count from 1, columns in UTF-16 units, as editors do. */
export interface SourcePosition {
  readonly line: number;
  readonly column: number;
}

/** One thing that is wrong in a text. */
export interface SourceProblem extends SourcePosition {
  /** RFC 6901, into the document. */
  readonly pointer: string;
  /** Stable, for programs: `rule.not_found`. */
  readonly code: string;
  /** What is wrong and what to write instead. */
  readonly detail: string;
}

/** Turns offsets into lines and columns. A line ends with `\n`, `\r\n` or `\r`. */
export function locator(source: string): (offset: number) => SourcePosition {
  const starts = [0];
  for (let i = 0; i < source.length; i++) {
    const code = source.charCodeAt(i);
    if (code === 10 || (code === 13 && source.charCodeAt(i + 1) !== 10)) starts.push(i + 1);
  }
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - starts[low]! + 1 };
  };
}
