import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { createTestDatabase } from '../support/database.js';
import { ROOT } from '../support/server.js';
import { targets } from './corpus.js';
import { Random } from './random.js';
import { brokenEgress } from './receiver/broken-egress.js';
import { fuzzReceiver } from './receiver/receiver-target.js';
import { routeInput } from './route-input.js';
import { fuzzRoute } from './route-target.js';
import type { TargetResult } from './target-result.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-fuzz-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A program of this folder in a process of its own, as `npm run fuzz` runs it. */
async function program(args: readonly string[], env: Record<string, string> = {}) {
  const tsArgs = ['--conditions=source', '--no-warnings', '--import', './test/support/register-ts.mjs'];
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [...tsArgs, ...args], { cwd: ROOT, env: { PATH, HOME, ...env } });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (out += data.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, out };
}

describe('npm run fuzz', () => {
  it('finds nothing in a short run over every provider, the whole route, hostile receivers and the REST API', async () => {
    const database = await createTestDatabase();
    const file = join(folder, 'results.json');
    const args = ['test/fuzz/run.ts', '--inputs', '1000', '--out', file];
    const { code, out } = await program(args, { MILLRACE_FUZZ_DATABASE: database.url });
    await database.drop();
    // With the output, in which the seeds are.
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining('Nothing found.') });
    const { results } = JSON.parse(await readFile(file, 'utf8')) as { results: TargetResult[] };
    const names = [...targets().map(({ name }) => name), 'route', 'receiver', 'api'];
    expect(results.map(({ target }) => target)).toEqual(names);
    const [{ outcomes }, { outcomes: received }, { outcomes: api }] = results.slice(-3) as [
      TargetResult,
      TargetResult,
      TargetResult,
    ];
    // Nothing is proved where everything is refused, or everything believed.
    for (const status of ['200', '202', '400', '401', '404']) expect(outcomes[status]).toBeGreaterThan(10);
    for (const status of ['200', '201', '400', '404', '422']) expect(api[status]).toBeGreaterThan(5);
    for (const word of [
      'completed',
      'http.connect',
      'http.status',
      'http.timeout',
      'http.redirect',
      'http.body_too_large',
    ])
      expect(received[word]).toBeGreaterThan(10);
    for (const { outcomes: made } of results.slice(0, -3)) expect(made['believed']).toBeGreaterThan(50);
  });

  it.each([
    [['--inputs', 'many'], /--inputs takes a whole number from 1/],
    [['--target', 'gitbub'], /no target gitbub: .*github.*route/],
    [['--input', '5'], /Unknown option '--input'[^]*Options:/],
  ])('says what is wrong with %j', async (args, said) => {
    const { code, out } = await program(['test/fuzz/run.ts', ...args]);
    expect(code).toBe(2);
    expect(out).toMatch(said);
  });
});

describe('the fuzzer of providers', () => {
  let results: Readonly<Record<string, TargetResult>>;
  beforeAll(async () => {
    const { code, out } = await program(['test/fuzz/broken-run.ts']);
    if (code !== 0) throw new Error(out);
    results = JSON.parse(out) as typeof results;
  });

  it('finds nothing in one that is right', () => {
    expect(results['right']).toMatchObject({ failures: [], inputs: 800 });
  });

  it.each([
    ['throws', /null is not an object/],
    ['hangs', /^hang: no end after 500 ms/],
    ['believes', /a body that nobody signed was believed/],
    ['exits', /^crash: /],
    ['loses a promise', /^crash: nobody hears me/],
    ['is slow', /^slow: p99[.]9 is \d+ ms, not 4 or less/],
    ['invents a type', /rule[.]created may not come from outside/],
    ['invents a field', /data of git[.]push is not as its schema says: [/]repository/],
    ['loses a promise on the way out', /^a promise was lost near here: Error: nobody hears me/],
    ['refuses what is stored', /the answer is no success/],
  ])('finds one that %s, with the seed that does it', (name, what) => {
    const [first] = results[name]!.failures;
    expect(first).toMatchObject({ what: expect.stringMatching(what) });
  });

  it.each(['throws', 'hangs', 'exits'])('finds it again by the seed alone: %s', (name) => {
    const [again] = results[`${name} again`]!.failures;
    expect(again?.seed).toBe(results[name]!.failures[0]!.seed);
    expect(again?.what).toBe(results[name]!.failures[0]!.what);
  });
});

describe('the fuzzer of receivers', () => {
  const fuzz = async (name: string, more: object = {}) => {
    const egress = brokenEgress(name);
    try {
      return await fuzzReceiver({ inputs: 300, seed: 1, patienceMs: 5_000, egress, ...more });
    } finally {
      egress.close();
    }
  };

  it.each([
    ['throws', /^the step broke: Error: ECONNRESET, of /],
    ['hangs', /^hang: no end after 5000 ms, of /],
    ['believes what broke off', /^a success was made of an answer that broke off, of /],
    ['keeps too much', /^300000 bytes of the answer were kept, of /],
    ['changes a body', /^an answer did not come through as it is: .*, of honest/],
  ])('finds a way out that %s, and again by the seed alone', async (name, what) => {
    const { failures } = await fuzz(name);
    const found = failures.find((failure) => what.test(failure.what));
    expect(failures.map((failure) => failure.what)).toContainEqual(expect.stringMatching(what));
    const again = await fuzz(name, { seed: found!.seed, inputs: 1 });
    expect(again.failures.map((failure) => failure.what)).toContain(found!.what);
  });
});

describe('the fuzzer of the route', () => {
  const places = targets().map((target) => ({ target, id: 'int_1', slug: 'wh_1', customPath: 'custom' }));
  const fuzz = async (answer: Parameters<typeof createServer>[1], more: object = {}): Promise<TargetResult> => {
    const server: Server = createServer(answer).listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const options = { inputs: 300, seed: 1, patienceMs: 60_000, lanes: 4, isStored: async () => true };
      return await fuzzRoute({ url, places, ...options, ...more });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  };
  const whats = ({ failures }: TargetResult): readonly string[] => failures.map(({ what }) => what);
  const stored = '{"eventIds":["evt_00000000000000000000000001"]}';

  it('finds nothing at a server that answers', async () => {
    expect(
      whats(await fuzz((request, response) => void request.resume().on('end', () => response.end(stored)))),
    ).toEqual([]);
  });

  it('finds a 5xx, a hang, a connection that is dropped and slowness', async () => {
    const only = (nth: number, then: (response: ServerResponse) => unknown, more?: object) => {
      let count = 0;
      return fuzz(
        (request, response) => void (request.url !== '/healthz' && ++count === nth ? then(response) : response.end()),
        more,
      );
    };
    const failing = await only(50, (response) => response.writeHead(500).end('oh no'));
    expect(whats(failing)).toEqual([expect.stringMatching(/^answered 500: [^]*oh no/)]);
    const silent = await only(50, () => undefined, { patienceMs: 300 });
    expect(whats(silent)).toContain('hang: no answer after 300 ms');
    // One that was used before may be closed at any time: that request is tried once more, on a new connection.
    const dropped = await fuzz((request, response) =>
      request.headers['x-github-event'] === 'ping' ? response.destroy() : response.end(),
    );
    expect(new Set(whats(dropped))).toEqual(new Set(['the connection was closed without an answer']));
    const slow = await fuzz((_, response) => void setTimeout(() => response.end(), 20), { slowMs: 1 });
    expect(whats(slow)).toEqual([expect.stringMatching(/^slow: p99[.]9/)]);
  });

  it('finds an event that was acknowledged and is nowhere', async () => {
    const lost = await fuzz((_, response) => response.end(stored), { isStored: async () => false });
    expect(whats(lost)[0]).toBe('evt_00000000000000000000000001 was acknowledged and is not there');
  });

  it('finds a server that is gone', async () => {
    const gone = await fuzz(
      (request, response) => void (request.url === '/healthz' ? response.destroy() : response.end()),
    );
    expect(whats(gone)).toEqual(['crash: the server does not answer any more']);
  });

  it('makes the same input of the same seed', () => {
    for (const seed of [1, 2, 3_000_000_000]) {
      const [one, other] = [0, 1].map(() => routeInput(places, new Random(seed, 'route')));
      expect(one!.bytes.toString('latin1').replace(/\d{10}|[0-9a-f]{64}|v1,\S+/g, '')).toBe(
        other!.bytes.toString('latin1').replace(/\d{10}|[0-9a-f]{64}|v1,\S+/g, ''),
      );
    }
    const many = Array.from({ length: 100 }, (_, seed) =>
      routeInput(places, new Random(seed, 'route')).bytes.toString(),
    );
    expect(new Set(many).size).toBeGreaterThan(95);
  });
});
