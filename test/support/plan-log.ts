import pg from 'pg';

import { TcpProxy } from './tcp-proxy.js';

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly Plans?: readonly PlanNode[];
}

/** A statement that was carried out. */
export interface Statement {
  readonly text: string;
  /** Most rows that one step of its plan looked at. */
  readonly touched: number;
  /** That step, for whoever mends it. */
  readonly step: string;
}

/**
 * What PostgreSQL really does for each statement of a program: stands between the two, and reads the plans that the extension
 * auto_explain sends as notices, with the rows that each step looked at.
 */
export class PlanLog {
  private seen: Statement[] = [];

  private constructor(
    private readonly proxy: TcpProxy,
    readonly url: string,
    seen: Statement[],
  ) {
    this.seen = seen;
  }

  static async inFrontOf(databaseUrl: string): Promise<PlanLog> {
    await explainEverything(databaseUrl);
    const seen: Statement[] = [];
    const { proxy, url } = await TcpProxy.inFrontOf(databaseUrl, () => noticesIn((text) => note(text, seen)));
    return new PlanLog(proxy, url, seen);
  }

  /** The statements since the last call. */
  take(): readonly Statement[] {
    return this.seen.splice(0);
  }

  stop(): Promise<void> {
    return this.proxy.stop();
  }
}

async function explainEverything(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const settings = {
    session_preload_libraries: 'auto_explain',
    'auto_explain.log_min_duration': '0',
    'auto_explain.log_analyze': 'on',
    'auto_explain.log_timing': 'off',
    'auto_explain.log_nested_statements': 'on',
    'auto_explain.log_format': 'json',
    'auto_explain.log_level': 'notice',
  };
  const name = new URL(url).pathname.slice(1);
  for (const [key, value] of Object.entries(settings))
    await client.query(`alter database ${name} set ${key} = '${value}'`);
  await client.end();
}

function note(notice: string, seen: Statement[]): void {
  const start = notice.indexOf('plan:\n');
  if (start < 0) return;
  const { 'Query Text': text, Plan: plan } = JSON.parse(notice.slice(start + 6)) as {
    readonly 'Query Text': string;
    readonly Plan: PlanNode;
  };
  const [worst] = stepsOf(plan)
    .map((node) => ({ node, touched: touchedBy(node) }))
    .sort((one, other) => other.touched - one.touched);
  const { node, touched } = worst!;
  const step = [node['Node Type'], node['Relation Name'], node['Index Name']].filter(Boolean).join(' ');
  seen.push({ text: text.replace(/\s+/g, ' ').trim(), touched, step });
}

const stepsOf = (node: PlanNode): readonly PlanNode[] => [node, ...(node.Plans ?? []).flatMap(stepsOf)];

const touchedBy = (node: PlanNode): number =>
  (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0)) *
  node['Actual Loops'];

/** Cuts what the server sends into messages (a letter, four bytes of length, the rest), and passes on the texts of notices. */
function noticesIn(found: (text: string) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 5) {
      const end = 1 + rest.readUInt32BE(1);
      if (rest.length < end) return;
      if (rest[0] === 'N'.charCodeAt(0)) {
        // Fields: a letter, a text, a zero; `M` is the message.
        const fields = rest.toString('utf8', 5, end).split('\0');
        found(fields.find((field) => field.startsWith('M'))?.slice(1) ?? '');
      }
      rest = rest.subarray(end);
    }
  };
}
