import { describe, expect, it } from '@jest/globals';

import { main } from '../main.js';

/** The verbs that users rely on. What a noun has beyond them is its own affair. */
const VERBS: Readonly<Record<string, readonly string[]>> = {
  integration: ['ls', 'view', 'create', 'update', 'rm', 'verify', 'reconcile', 'handshake'],
  event: ['ls', 'view', 'create', 'publish', 'tail', 'trace', 'why'],
  'event-type': ['ls', 'view', 'create', 'update', 'rm', 'archive'],
  rule: ['ls', 'view', 'create', 'update', 'rm', 'enable', 'disable', 'versions', 'export', 'test', 'backtest', 'why'],
  workflow: [
    ...['ls', 'view', 'create', 'update', 'rm', 'validate', 'lint', 'apply', 'run', 'test', 'graph', 'diff'],
    ...['versions', 'activate', 'pause', 'resume', 'schedule', 'backfill', 'schema', 'why'],
  ],
  run: ['ls', 'view', 'retry', 'restart', 'cancel', 'pause', 'resume', 'approvals', 'approve', 'reject', 'export'],
  'outbound-webhook': [
    ...['ls', 'view', 'create', 'update', 'rm', 'test', 'recover', 'rotate', 'enable', 'disable', 'watch'],
  ],
  delivery: ['ls', 'view', 'redeliver', 'retry', 'watch'],
  agent: ['ls', 'view', 'create', 'update', 'rm', 'run', 'executions', 'cancel', 'approve'],
  issue: ['ls', 'view', 'create', 'update', 'rm', 'comment', 'comments'],
  message: ['ls', 'view', 'create'],
  organisation: ['ls', 'view', 'create', 'update', 'rm', 'restore'],
  token: ['ls', 'view', 'create', 'update', 'rm'],
  secret: ['ls', 'view', 'set', 'create', 'update', 'rm'],
  plugin: ['ls'],
  subscriber: ['ls', 'view', 'retry'],
  projection: ['ls', 'view', 'rebuild', 'verify', 'rebuilds', 'cancel'],
};

async function helpOf(...args: readonly string[]): Promise<string> {
  let text = '';
  const out = { write: (piece: string) => (text += piece) };
  await main([...args, '--help'], { env: {}, out, err: out });
  return text;
}

describe('millrace', () => {
  it.each(Object.entries(VERBS))('%s has its verbs', async (noun, verbs) => {
    const help = await helpOf(noun);
    const found = [...help.matchAll(/^ {2}([a-z-]+)(?= )/gm)].map(([, verb]) => verb);
    expect(verbs.filter((verb) => !found.includes(verb))).toEqual([]);
  });

  it('describes every verb in words', async () => {
    for (const noun of Object.keys(VERBS)) expect(await helpOf(noun)).not.toMatch(/^ {2}[a-z-]+( \S+)*\s*$/m);
  });
});
