/** Where the program writes; a part of what Node's streams have. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const BOLD = '\u001b[1m';
const RED = '\u001b[31m';
const RESET = '\u001b[0m';
const CLEAR_LINE = '\r\u001b[2K';

/** Text on the way out: what was asked for on one stream, everything else on the other. Colours on a terminal alone. */
export class Terminal {
  private barShown = false;

  constructor(
    private readonly out: Output,
    private readonly err: Output,
    private readonly colours: boolean,
  ) {}

  print(text: string): void {
    this.bar(undefined);
    this.out.write(`${text}\n`);
  }

  note(text: string): void {
    this.bar(undefined);
    this.err.write(`${text}\n`);
  }

  failure(lines: readonly string[]): void {
    const [first = '', ...more] = lines;
    this.note([this.err.isTTY === true && this.colours ? `${RED}${first}${RESET}` : first, ...more].join('\n'));
  }

  /** One line that the next one replaces; nothing where nobody looks. */
  bar(text: string | undefined): void {
    if (this.err.isTTY !== true || (text === undefined && !this.barShown)) return;
    this.err.write(text === undefined ? CLEAR_LINE : `${CLEAR_LINE}${text.slice(0, (this.err.columns ?? 80) - 1)}`);
    this.barShown = text !== undefined;
  }

  /** Columns as wide as their widest entry; the last one as it is. */
  table(columns: readonly string[], rows: readonly (readonly string[])[]): void {
    const widths = columns.map((title, column) =>
      Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
    );
    const line = (row: readonly string[]): string =>
      row
        .map((text, column) => (column === columns.length - 1 ? text : text.padEnd(widths[column]!)))
        .join('  ')
        .trimEnd();
    const head = line(columns);
    this.print(this.out.isTTY === true && this.colours ? `${BOLD}${head}${RESET}` : head);
    for (const row of rows) this.print(line(row));
  }
}
