import { Readable } from 'node:stream';

import { Controller, Get, Headers, HttpCode, Inject, Param, Post, Query, Res } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiResponse, ApiQuery, ApiTags } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

import { CurrentCaller, Roles } from '#libs/access/src/caller.controller.js';
import type { Caller } from '#libs/access/src/caller.js';
import { Answers } from '#libs/access/src/shapes.controller.js';
import { EventReader } from '#libs/event-index/src/event-reader.adapter.js';
import { EventStore } from '#libs/event-store/src/event-store.js';
import { Progress } from '#libs/event-store/src/subscriber.js';
import { DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { exportLog, isOpen, newestSeal } from './export-log.js';
import { indexAt, leafAt, keptSubtrees, WHOLE_LOG } from './kept-tree.adapter.js';
import { CheckpointAnswer, ConsistencyAnswer, KeysAnswer, ProofAnswer, VerificationAnswer } from './proof.body.js';
import { SigningKeys } from './signing-keys.js';
import { proofText } from './tree/checkpoint.js';
import { leafBytes, leafHash } from './tree/leaf.js';
import { consistencyProof, inclusionProof } from './tree/merkle.js';
import { type Verification, verifyLog } from './verify-log.js';

/** As much of a Fastify reply as is used here. */
interface Reply {
  type(contentType: string): Reply;
  send(body: object | string): Reply;
  readonly raw: { once(event: 'close', listener: () => void): void };
}

const NDJSON = 'application/x-ndjson';
const JSON_TYPE = 'application/json; charset=utf-8';
const AUDITORS = ['auditor'] as const;
const OfTree = () =>
  ApiQuery({
    name: 'tree',
    required: false,
    description:
      '`log` for all events (the first organisation alone), or the id of the own organisation. Default: the largest that the token may see.',
  });

/** Proves that nothing in the log was changed: a Merkle tree (RFC 6962) and signed checkpoints (C2SP). */
@ApiTags('audit')
@Roles(...AUDITORS)
@Controller('api/v1/audit')
export class ProofController {
  constructor(
    @Inject(EventStore) private readonly store: EventStore,
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(Progress) private readonly progress: Progress,
    @Inject(EventReader) private readonly events: EventReader,
    @Inject(SigningKeys) private readonly keys: SigningKeys,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  @Get('verify')
  @ApiOperation({
    summary: 'Verify that nothing was changed',
    description:
      'Computes the tree again from the log and compares it with the kept hashes and with every checkpoint. Names each event that was changed, removed, moved or added. With `Accept: application/x-ndjson` lines `{ "progress": { done, of } }` come first, and the last line is `{ "result": … }`.',
  })
  @OfTree()
  @ApiQuery({ name: 'checkpoint', required: false, description: 'A checkpoint that was kept elsewhere, in base64url.' })
  @ApiProduces('application/json', NDJSON)
  @Answers(VerificationAnswer)
  async verify(
    @CurrentCaller() caller: Caller,
    @Res() reply: Reply,
    @Headers('accept') accept?: string,
    @Query('tree') tree?: string,
    @Query('checkpoint') checkpoint?: string,
  ): Promise<void> {
    const note = checkpoint === undefined ? {} : { checkpoint: Buffer.from(checkpoint, 'base64url').toString() };
    const abort = new AbortController();
    reply.raw.once('close', () => abort.abort());
    const request = { tree: treeOf(caller, tree), ...note, signal: abort.signal };
    const lines = this.verification(request);
    // A request that is refused is refused before the answer begins.
    const first = await lines.next();
    if (accept?.includes(NDJSON) === true) {
      reply.type(NDJSON).send(Readable.from(inOrder(first, lines), { objectMode: false }));
      return;
    }
    for (let step = first; step.done !== true; step = await lines.next())
      if (step.value.result) reply.type(JSON_TYPE).send(stringifyJson(step.value.result));
  }

  @Get('checkpoint')
  @ApiOperation({ summary: 'The newest signed checkpoint', description: 'All of them: `GET /events?type=log.sealed`.' })
  @OfTree()
  @Answers(CheckpointAnswer)
  async checkpoint(@CurrentCaller() caller: Caller, @Query('tree') tree?: string): Promise<CheckpointAnswer> {
    return newestSeal(this.store, this.keys, treeOf(caller, tree));
  }

  @Get('keys')
  @ApiOperation({ summary: 'Keys that verify checkpoints', description: 'The newest first.' })
  @OfTree()
  @Answers(KeysAnswer)
  async verifiers(@CurrentCaller() caller: Caller, @Query('tree') given?: string): Promise<KeysAnswer> {
    const tree = treeOf(caller, given);
    const keys = (await this.keys.verifiers(tree)).map(({ vkey }) => vkey);
    return { tree, origin: await this.keys.origin(tree), keys };
  }

  @Post('keys')
  @Roles('admin')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Sign with a new key from now on',
    description: 'The next checkpoint of each tree is signed with the old key too, and names the new one.',
  })
  @Answers(KeysAnswer)
  async rotate(@CurrentCaller() caller: Caller): Promise<KeysAnswer> {
    if (caller.orgId !== DEFAULT_ORG) throw onlyInstallation();
    await this.keys.rotate(caller.actor, this.clock.now());
    return this.verifiers(caller);
  }

  @Get('proofs/:eventId')
  @ApiOperation({
    summary: 'Prove that an event is in the log',
    description: 'An inclusion proof against the newest checkpoint; `proof` is a text of c2sp.org/tlog-proof.',
  })
  @OfTree()
  @Answers(ProofAnswer)
  async prove(
    @CurrentCaller() caller: Caller,
    @Param('eventId') eventId: string,
    @Query('tree') given?: string,
  ): Promise<ProofAnswer> {
    const tree = treeOf(caller, given);
    const { position, event } = await this.events.find(caller.orgId, eventId);
    const { size, note } = await newestSeal(this.store, this.keys, tree);
    const index = await indexAt(this.database, tree, position);
    if (index === undefined || index >= size)
      throw new Rejected(
        'conflict',
        'audit.not_sealed',
        'The newest checkpoint does not cover the event. The next one will: try again in some minutes.',
      );
    const hashes = await inclusionProof(index, size, keptSubtrees(this.database, tree));
    return {
      eventId,
      tree,
      index,
      size,
      // Of an event that retention removed the hash is left: the proof shows that it was in the log.
      leaf: (event ? leafHash(event) : await leafAt(this.database, tree, index)).toString('base64'),
      truncated: event === undefined,
      ...(event && isOpen(event) && { bytes: leafBytes(event).toString('base64') }),
      proof: proofText({ index, hashes, checkpoint: note }),
    };
  }

  @Get('consistency')
  @ApiOperation({
    summary: 'Prove that a later tree begins with an earlier one',
    description: 'The hashes of a consistency proof (RFC 6962) between two sizes.',
  })
  @OfTree()
  @ApiQuery({ name: 'from', description: 'Size of the earlier tree.' })
  @ApiQuery({ name: 'to', description: 'Size of the later tree.' })
  @Answers(ConsistencyAnswer)
  async consistency(
    @CurrentCaller() caller: Caller,
    @Query('from') from?: string,
    @Query('to') to?: string,
    @Query('tree') given?: string,
  ): Promise<ConsistencyAnswer> {
    const tree = treeOf(caller, given);
    const { size } = await newestSeal(this.store, this.keys, tree);
    const [first, second] = [sizeOf('from', from, size), sizeOf('to', to, size)];
    if (first > second)
      throw new Rejected(
        'invalid',
        'audit.bad_size',
        '"from" must not be larger than "to": give the older size first.',
      );
    const hashes = await consistencyProof(first, second, keptSubtrees(this.database, tree));
    return { tree, from: first, to: second, hashes: hashes.map((hash) => hash.toString('base64')) };
  }

  @Get('export')
  @ApiOperation({
    summary: 'Export the log with its checkpoints',
    description:
      'NDJSON up to the newest checkpoint. `millrace audit verify FILE` verifies it without a server. What is never shown is there by its hash alone.',
  })
  @OfTree()
  @ApiProduces(NDJSON)
  @ApiResponse({
    status: 200,
    schema: { type: 'string', description: 'Lines of JSON: the head, then events, checkpoints and keys.' },
  })
  async export(@CurrentCaller() caller: Caller, @Res() reply: Reply, @Query('tree') given?: string): Promise<void> {
    const tree = treeOf(caller, given);
    const { store, database, keys } = this;
    await newestSeal(store, keys, tree);
    const abort = new AbortController();
    reply.raw.once('close', () => abort.abort());
    const pages = exportLog({ store, database, keys }, tree, abort.signal);
    const text = async function* (): AsyncGenerator<string> {
      for await (const lines of pages) yield lines.map((line) => `${stringifyJson(line)}\n`).join('');
    };
    reply.type(NDJSON).send(Readable.from(text(), { objectMode: false }));
  }

  private async *verification(request: Parameters<typeof verifyLog>[1]): AsyncGenerator<Line, undefined> {
    const { store, database, progress, keys, events } = this;
    const steps = verifyLog({ store, database, progress, keys, events }, request);
    for (;;) {
      const { done, value } = await steps.next();
      if (done === true) {
        yield { result: value };
        return undefined;
      }
      yield { progress: value };
    }
  }
}

interface Line {
  readonly progress?: { readonly done: number; readonly of: number };
  readonly result?: Verification;
}

/** At most a hundred lines of progress, whatever the size. */
async function* inOrder(
  first: IteratorResult<Line, undefined>,
  rest: AsyncGenerator<Line, undefined>,
): AsyncGenerator<string> {
  let told = 0;
  for (let step = first; step.done !== true; step = await rest.next()) {
    const { progress } = step.value;
    if (progress && progress.done < told) continue;
    if (progress) told = progress.done + Math.ceil(progress.of / 100);
    yield `${stringifyJson(step.value)}\n`;
  }
}

function treeOf({ orgId }: Caller, tree: string | undefined): string {
  const isFirst = orgId === DEFAULT_ORG;
  const wanted = tree ?? (isFirst ? WHOLE_LOG : orgId);
  if (wanted === orgId || (isFirst && wanted === WHOLE_LOG)) return wanted;
  throw new Rejected(
    'forbidden',
    'audit.other_tree',
    `"tree" must be ${isFirst ? `"${WHOLE_LOG}" or ` : ''}"${orgId}": other organisations have trees of their own.`,
  );
}

const onlyInstallation = (): Rejected =>
  new Rejected(
    'forbidden',
    'audit.not_installation',
    'Only admins of the first organisation change the signing key. Ask the operator of this installation.',
  );

function sizeOf(name: string, text: string | undefined, most: number): number {
  const size = text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (size >= 0 && size <= most) return size;
  throw new Rejected(
    'invalid',
    'audit.bad_size',
    `"${name}" must be a size from 0 to ${most}, that of the newest checkpoint.`,
  );
}
