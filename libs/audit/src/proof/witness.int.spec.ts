import { generateKeyPairSync, sign } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import type { Egress, EgressOutcome, EgressRequest } from '#libs/egress/src/egress.js';
import { PostgresEventStore } from '#libs/event-store/src/adapters/postgres/postgres-event-store.adapter.js';

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.js';
import { useViews } from '../../../../test/support/views.js';
import { SealedLog } from '../../testing/sealed-log.js';
import { newestSeal } from './export-log.js';
import { keptSubtrees, WHOLE_LOG } from './kept-tree.adapter.js';
import { parseCheckpoint } from './tree/checkpoint.js';
import { verifyConsistency } from './tree/merkle.js';
import { openNote, type Verifier } from './tree/note.js';
import { WitnessTree } from './witness-tree.worker.js';

const URL = 'https://witness.example.com/w1';
const views = useViews();

/** A witness as c2sp.org/tlog-witness has it. */
class Witness {
  readonly asked: string[] = [];
  private readonly key = generateKeyPairSync('ed25519').privateKey;
  private last: { readonly size: number; readonly root: Buffer } | undefined;
  answers: ((request: EgressRequest) => EgressOutcome | undefined)[] = [];

  constructor(private readonly verifiers: () => Promise<readonly Verifier[]>) {}

  request = async (request: EgressRequest): Promise<EgressOutcome> => {
    this.asked.push(request.url);
    const other = this.answers.shift()?.(request);
    if (other) return other;
    const [head = '', note = ''] = split(String(request.body));
    const [oldLine = '', ...hashes] = head.split('\n');
    const { size, root } = parseCheckpoint(openNote(note, await this.verifiers()).text);
    const old = Number(/^old (\d+)$/.exec(oldLine)![1]);
    if (old !== (this.last?.size ?? 0)) return answer(409, `${this.last?.size ?? 0}\n`);
    const proof = hashes.map((hash) => Buffer.from(hash, 'base64'));
    if (this.last && !verifyConsistency(this.last, { size, root }, proof)) return answer(422, '');
    this.last = { size, root };
    const time = Buffer.alloc(8);
    const bytes = Buffer.concat([Buffer.from('0a0b0c0d', 'hex'), time, sign(null, Buffer.from(note), this.key)]);
    return answer(200, `— witness.example.com/w1 ${bytes.toString('base64')}\n`);
  };
}

function split(body: string): readonly [string, string] {
  const end = body.indexOf('\n\n');
  return [body.slice(0, end), body.slice(end + 2)];
}
const answer = (status: number, body: string): EgressOutcome => ({
  kind: 'response',
  ...{ status, headers: {}, body: Buffer.from(body), truncated: false, latencyMs: 1 },
});

describe('a witness', () => {
  let database: TestDatabase;
  let store: PostgresEventStore;
  let log: SealedLog;
  let witness: Witness;
  let worker: WitnessTree;
  beforeEach(async () => {
    database = await createTestDatabase();
    store = await PostgresEventStore.open({ connectionString: database.url });
    log = new SealedLog(store, views.dataSource, undefined, URL);
    witness = new Witness(() => log.keys.verifiers(WHOLE_LOG));
    worker = new WitnessTree({
      store,
      clock: log.clock,
      egress: witness as unknown as Egress,
      keys: log.keys,
      subtreesOf: (tree) => keptSubtrees(views.dataSource, tree),
      url: URL,
    });
  });
  afterEach(async () => {
    await store.close();
    await database.drop();
  });

  const due = () =>
    views.dataSource.query<{ key: string }[]>(`select key from views.work where queue = $1`, [worker.queue]);
  const run = () =>
    worker.run(
      {
        queue: worker.queue,
        key: WHOLE_LOG,
        dueAt: log.clock.now(),
        payload: { tree: WHOLE_LOG },
        position: 0n,
        claims: 1,
      },
      new AbortController().signal,
    );
  const cosigned = async () => (await log.events()).flatMap((event) => (event.is('log.cosigned') ? [event.data] : []));

  it('signs each checkpoint, with a proof that it continues from the one before', async () => {
    for (const count of [7, 30, 3]) {
      await log.append(count);
      await log.seal();
      expect(await due()).toEqual([{ key: WHOLE_LOG }]);
      await run();
      await log.keep();
      expect(await due()).toEqual([]);
    }
    const seals = (await log.seals()).filter(({ tree }) => tree === WHOLE_LOG);
    expect((await cosigned()).map(({ size }) => size)).toEqual(seals.map(({ size }) => size));
    expect(witness.asked).toEqual(Array(3).fill(`${URL}/add-checkpoint`));
    const { note } = await newestSeal(store, log.keys, WHOLE_LOG);
    expect(note).toContain('\n— witness.example.com/w1 ');
    expect(openNote(note, await log.keys.verifiers(WHOLE_LOG)).signedBy).toHaveLength(1);
    expect(await log.verify({ checkpoint: note })).toMatchObject({ ok: true });
  });

  it('is told from where the tree goes on, where it has signed what is not recorded here', async () => {
    await log.append(5);
    await log.seal();
    // The process died between the answer and the append.
    await witness.request({ body: `old 0\n\n${(await log.seals())[0]!.note}`, url: '' } as EgressRequest);
    await log.append(9);
    await log.seal();
    await run();
    await log.keep();
    expect(witness.asked).toHaveLength(3);
    expect(await cosigned()).toHaveLength(1);
    await run();
    expect(witness.asked).toHaveLength(3);
  });

  it('that refuses, is away or talks nonsense is asked again, and nothing is recorded', async () => {
    await log.append(5);
    await log.seal();
    witness.answers = [
      () => answer(403, 'unknown log'),
      () => ({ kind: 'failed', failureClass: 'connect', detail: 'connection refused', latencyMs: 1 }),
      () => answer(200, 'thanks'),
      () => answer(409, '999999'),
      () => answer(409, 'what'),
    ];
    const places = ['answered 403', 'connection refused', 'without a signature', 'it has seen 999999', 'answered 409'];
    for (const place of places) await expect(run()).rejects.toThrow(place);
    expect(await cosigned()).toEqual([]);
    expect(await due()).toEqual([{ key: WHOLE_LOG }]);
    await run();
    expect(await cosigned()).toHaveLength(1);
  });

  it('makes a quiet log write nothing', async () => {
    await log.append(5);
    await log.seal();
    await run();
    await log.keep();
    expect(await log.due()).toEqual([expect.objectContaining({ key: 'org_1' })]);
    await log.seal('org_1');
    await log.keep();
    const size = (await log.events()).length;
    await log.seal();
    await log.keep();
    expect((await log.events()).length).toBe(size);
  });
});
