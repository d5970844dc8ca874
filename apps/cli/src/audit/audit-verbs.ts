import { createReadStream, createWriteStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

import { BundleCheck, type BundleResult, keysOfBundle } from '#libs/audit/src/proof/tree/bundle.js';
import { parseCheckpoint, parseProof } from '#libs/audit/src/proof/tree/checkpoint.js';
import { hashLeaf, verifyConsistency, verifyInclusion } from '#libs/audit/src/proof/tree/merkle.js';
import { notesIn, openNote, parseVerifierKey, type Verifier } from '#libs/audit/src/proof/tree/note.js';
import type { Difference } from '#libs/events/src/shapes/audit/as-of-shape.js';
import { parseJson, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import { EXIT, ServerSaidNo, UsageError } from '../failures.js';
import type { Given, Verb } from '../nouns/verb-table.js';
import type { Shell } from '../shell.js';
import { linesIn } from '../nouns/lines.js';
import { differenceLines } from './difference-text.js';

const PATH = '/api/v1/audit';
const NDJSON = 'application/x-ndjson';
const TREE = ['--tree <tree>', 'log, or the id of the organisation; default: all that the token may see'] as const;
const KEY = [
  '--key <key>...',
  'verification key that you trust, from "millrace audit key"; default: what is given',
] as const;

interface Keys {
  readonly origin: string;
  readonly keys: readonly string[];
}
interface Verification {
  readonly ok: boolean;
  readonly origin: string;
  readonly size: number;
  readonly root: string;
  readonly checkpoints: number;
  readonly truncated: number;
  readonly findings: readonly {
    readonly kind: string;
    readonly index: number;
    readonly position?: string;
    readonly eventId?: string;
    readonly type?: string;
    readonly detail: string;
  }[];
  readonly more: number;
}
interface Checkpoint {
  readonly note: string;
}

/** The verbs of `millrace audit`. */
export const auditVerbs: readonly Verb[] = [
  {
    usage: 'verify [bundle]',
    does: 'verify the log of the server, or an exported bundle without a server; name what was changed',
    options: [TREE, ['--checkpoint <file>', 'compare with a checkpoint that was kept elsewhere'], KEY],
    run: (shell, args, given) =>
      args[0] === undefined ? verifyServer(shell, given) : verifyBundle(shell, args[0], given),
  },
  {
    usage: 'prove <event>',
    does: 'prove that an event is in the log: a c2sp.org/tlog-proof',
    options: [TREE, ['--output <file>', 'write the proof to a file'], KEY],
    run: prove,
  },
  {
    usage: 'consistency <old> <new>',
    does: 'prove that the log of a newer checkpoint begins with that of an older one; both are files',
    options: [TREE, KEY],
    run: consistency,
  },
  {
    usage: 'diff <from> [to]',
    does: 'show what was changed between two points of the log (a position, or a time), and who did it; to: default now',
    options: [['--kinds <kinds>', 'rules, workflows, tokens … with commas; default: all but issues']],
    run: difference,
  },
  { usage: 'checkpoint', does: 'print the newest signed checkpoint', options: [TREE], run: checkpoint },
  { usage: 'key', does: 'print the keys that verify checkpoints, the newest first', options: [TREE], run: key },
  { usage: 'rotate-key', does: 'sign with a new key from now on', run: rotateKey },
  {
    usage: 'export',
    does: 'write the log with its checkpoints as a bundle that is verified without a server',
    options: [TREE, ['--output <file>', 'default: the standard output']],
    run: exportBundle,
  },
];

const query = (parameters: Readonly<Record<string, unknown>>): string => {
  const given = Object.entries(parameters).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
};

const trusted = ({ key: keys }: Given): readonly Verifier[] =>
  [...((keys ?? []) as readonly string[])].map(parseVerifierKey);

/** The keys that are trusted: those of the command line, or else those that the server names. */
async function verifiersOf(shell: Shell, given: Given): Promise<readonly Verifier[]> {
  const own = trusted(given);
  if (own.length > 0) return own;
  return (await shell.call<Keys>('GET', `${PATH}/keys${query({ tree: given['tree'] })}`)).keys.map(parseVerifierKey);
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}.`);
  }
}

/** Of a file that holds several, the one over the most events. */
async function newestIn(file: string, verifiers: readonly Verifier[]) {
  const notes = notesIn(await textOf(file));
  if (notes.length === 0) throw new UsageError(`${file} holds no checkpoint.`);
  const names = new Set(verifiers.map(({ name }) => name));
  const ours = notes.filter((note) => names.has(note.slice(0, note.indexOf('\n'))));
  const sized = (ours.length > 0 ? ours : notes).map((note) => ({ note, size: Number(note.split('\n')[1]) }));
  return sized.reduce((largest, one) => (one.size > largest.size ? one : largest)).note;
}

async function verifyServer(shell: Shell, given: Given): Promise<number> {
  const { checkpoint: file, tree } = given;
  let note: string | undefined;
  if (typeof file === 'string') {
    const verifiers = await verifiersOf(shell, given);
    note = await newestIn(file, verifiers);
    if (trusted(given).length > 0) openNote(note, verifiers);
  }
  const path = `${PATH}/verify${query({ tree, checkpoint: note && Buffer.from(note).toString('base64url') })}`;
  let result: Verification | undefined;
  for await (const text of linesIn(await shell.download(path, NDJSON))) {
    const line = parseJson(text) as { progress?: { done: number; of: number }; result?: Verification };
    if (line.progress) shell.bar(`${line.progress.done} of ${line.progress.of} events`);
    result = line.result ?? result;
  }
  shell.bar(undefined);
  if (!result)
    throw new ServerSaidNo(500, 'audit.cut_off', 'The server ended the verification before it was done. Try again.');
  if (shell.json) shell.print(stringifyJson(result, 2));
  else tellVerification(shell, result);
  return result.ok ? 0 : EXIT.no;
}

function tellVerification(
  shell: Shell,
  { ok, origin, size, root, checkpoints, truncated, findings, more }: Verification,
): void {
  if (shell.quiet) return shell.print(ok ? 'ok' : 'changed');
  for (const { kind, index, position, eventId, type, detail } of findings) {
    const name = [eventId, type].filter(Boolean).join(' ');
    const place = position === undefined ? '' : `, position ${position}`;
    shell.print(`${kind}: ${name || 'checkpoint'} (index ${index}${place}). ${detail}`);
  }
  if (more > 0) shell.print(`… and ${more} more.`);
  shell.print(
    `${ok ? 'Nothing was changed' : 'THE LOG WAS CHANGED'}: ${size} events, ${checkpoints} checkpoints, ${origin}`,
  );
  shell.print(`root ${root}`);
  if (truncated > 0) shell.print(`${truncated} events were removed by retention; their hashes are in the tree.`);
}

async function verifyBundle(shell: Shell, file: string, given: Given): Promise<number> {
  const read = () => linesIn(createReadStream(file));
  let check: BundleCheck | undefined;
  try {
    for await (const line of read()) {
      check ??= new BundleCheck(trusted(given).length > 0 ? trusted(given) : keysOfBundle(line));
      check.take(line);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code?.startsWith('E') !== true) throw error;
    throw new UsageError(`${file} cannot be read: ${code}.`);
  }
  const result = (check ?? new BundleCheck([])).result();
  if (shell.json) shell.print(stringifyJson(result, 2));
  else tellBundle(shell, result, trusted(given).length > 0);
  return result.ok ? 0 : EXIT.no;
}

function tellBundle(shell: Shell, result: BundleResult, keysAreGiven: boolean): void {
  const { ok, origin, size, root, checkpoints, hashesOnly, problems } = result;
  if (shell.quiet) return shell.print(ok ? 'ok' : 'changed');
  for (const { line, index, id, detail } of problems)
    shell.print(
      `line ${line}${index === undefined ? '' : `, index ${index}`}${id === undefined ? '' : `, event ${id}`}: ${detail}`,
    );
  shell.print(
    `${ok ? 'The bundle is whole' : 'THE BUNDLE IS NOT WHOLE'}: ${size} events, ${checkpoints} checkpoints, ${origin}`,
  );
  shell.print(`root ${root}`);
  if (hashesOnly > 0) shell.print(`${hashesOnly} events are there by their hash alone.`);
  if (!keysAreGiven)
    shell.note(
      'Verified with the keys in the bundle. Give a key that you know from elsewhere: --key (millrace audit key).',
    );
}

async function prove(shell: Shell, [event]: readonly string[], given: Given): Promise<number> {
  interface Proof {
    readonly leaf: string;
    readonly bytes?: string;
    readonly proof: string;
  }
  const path = `${PATH}/proofs/${encodeURIComponent(event!)}${query({ tree: given['tree'] })}`;
  const answer = await shell.call<Proof>('GET', path);
  const { index, hashes, checkpoint: note } = parseProof(answer.proof);
  const { size, root } = parseCheckpoint(openNote(note, await verifiersOf(shell, given)).text);
  const leaf =
    answer.bytes === undefined ? Buffer.from(answer.leaf, 'base64') : hashLeaf(Buffer.from(answer.bytes, 'base64'));
  const isProven = verifyInclusion({ index, size, root }, leaf, hashes);
  if (shell.json) shell.print(stringifyJson({ ...answer, ok: isProven }, 2));
  else if (!isProven)
    shell.print(`The event is not as it was recorded: it is not leaf ${index} of the ${size} that were signed.`);
  else if (typeof given['output'] === 'string') await writeFile(given['output'], answer.proof);
  else shell.print(answer.proof.trimEnd());
  if (isProven) shell.note(`Proven: ${event!} is event ${index} of the ${size} that the checkpoint covers.`);
  return isProven ? 0 : EXIT.no;
}

async function difference(shell: Shell, [from, to]: readonly string[], { kinds }: Given): Promise<void> {
  const query = new URLSearchParams({ from: from!, ...(to && { to }), ...(typeof kinds === 'string' && { kinds }) });
  const found = await shell.call<Difference>('GET', `/api/v1/as-of/diff?${query.toString()}`);
  if (shell.json) shell.print(stringifyJson(found, 2));
  else if (shell.quiet) for (const { kind, key } of found.data) shell.print(`${kind} ${key}`);
  else for (const line of differenceLines(found)) shell.print(line);
}

async function consistency(shell: Shell, files: readonly string[], given: Given): Promise<number> {
  const verifiers = await verifiersOf(shell, given);
  const heads = [];
  for (const file of files) heads.push(parseCheckpoint(openNote(await newestIn(file, verifiers), verifiers).text));
  const [older, newer] = heads.toSorted((one, other) => one.size - other.size);
  const path = `${PATH}/consistency${query({ from: String(older!.size), to: String(newer!.size), tree: given['tree'] })}`;
  const { hashes } = await shell.call<{ hashes: readonly string[] }>('GET', path);
  const isConsistent = verifyConsistency(
    older!,
    newer!,
    hashes.map((hash) => Buffer.from(hash, 'base64')),
  );
  if (shell.json) shell.print(stringifyJson({ ok: isConsistent, from: older!.size, to: newer!.size, hashes }, 2));
  else
    shell.print(
      isConsistent
        ? `Consistent: the log of ${newer!.size} events begins with the ${older!.size} of the older checkpoint.`
        : `NOT CONSISTENT: the log of ${newer!.size} events does not begin with the ${older!.size} of the older checkpoint.`,
    );
  return isConsistent ? 0 : EXIT.no;
}

async function checkpoint(shell: Shell, _: readonly string[], { tree }: Given): Promise<void> {
  const newest = await shell.call<Checkpoint>('GET', `${PATH}/checkpoint${query({ tree })}`);
  shell.print(shell.json ? stringifyJson(newest, 2) : newest.note.trimEnd());
}

async function key(shell: Shell, _: readonly string[], { tree }: Given): Promise<void> {
  tellKeys(shell, await shell.call<Keys>('GET', `${PATH}/keys${query({ tree })}`));
}

async function rotateKey(shell: Shell): Promise<void> {
  tellKeys(shell, await shell.call<Keys>('POST', `${PATH}/keys`));
  shell.note('The next checkpoint is signed with the old key too, and names the new one.');
}

function tellKeys(shell: Shell, keys: Keys): void {
  if (shell.json) shell.print(stringifyJson(keys, 2));
  else for (const one of keys.keys) shell.print(one);
}

async function exportBundle(shell: Shell, _: readonly string[], { tree, output }: Given): Promise<void> {
  const body = await shell.download(`${PATH}/export${query({ tree })}`, NDJSON);
  if (typeof output !== 'string') {
    for await (const line of linesIn(body)) shell.print(line);
    return;
  }
  await pipeline(body, createWriteStream(output));
  shell.note(`Wrote ${output}. Verify it with: millrace audit verify ${output}`);
}
