import { readFileSync, writeFileSync } from 'node:fs';
import { STATUS_CODES } from 'node:http';

import type { Command } from 'commander';

import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import type { JsonObject } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';
import { parseTime } from '#libs/kernel/src/time/times.js';
import type { Provider, SignedRequest } from '#libs/plugin-sdk/src/define-provider.js';
import { headersOf, type HttpFile, writeHttpFile } from '#libs/plugin-sdk/src/http-file.js';
import { loadPlugins } from '#libs/plugin-sdk/src/loading/load-plugins.js';
import { Plugins, PRESETS_OF } from '#libs/plugin-sdk/src/loading/plugins.js';
import { mediaTypeOf } from '#libs/plugin-sdk/src/body/inbound-body.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';

import { EXIT, UsageError } from './failures.js';
import { pairsOf, httpFileAt, jsonOr, secretIn, several } from './options.js';
import { targetOf } from './profile.js';
import { exchange, type HttpAnswer } from './raw-http.js';
import type { Act, Shell, Surroundings } from './shell.js';

interface SendOptions {
  readonly to?: string;
  readonly sign?: string;
  readonly secret?: string;
  readonly privateKey?: string;
  readonly config?: readonly string[];
  readonly plugins?: string;
  readonly at?: string;
  readonly save?: string;
  readonly header?: readonly string[];
  readonly repeat: string;
}

const MAX_REPEATS = 100_000;

/** `millrace send fixture.http` */
export function sendCommand(program: Command, act: Act): void {
  program
    .command('send <file>')
    .description('send a saved request (*.http), byte for byte')
    .option('--to <target>', 'a URL, a path, or the slug or id that replaces {slug} or {id} in the file')
    .option('--sign <name>', 'sign it again, as a sender of this provider or preset would now')
    .option('--secret <secret>', 'for --sign (MILLRACE_SECRET; - reads a line from the standard input)')
    .option('--private-key <file>', 'for --sign, where the sender has a key pair: PEM, or base64 of PKCS #8')
    .option('--config <key=value>', "for --sign: the integration's config; may be repeated", several)
    .option('--plugins <modules>', 'comma-separated, for providers of third parties (MILLRACE_PLUGINS)')
    .option('--at <time>', 'for --sign: the time to sign for (RFC 3339; default: now)')
    .option('--save <file>', 'write the request to a file instead of sending it: a fixture for tests')
    .option('--header <name: value>', 'set a header; may be repeated; an empty value removes it', several)
    .option('--repeat <n>', 'number of times to send it, one after the other', '1')
    .action((file: string, options: SendOptions) =>
      act((shell, around) => send(shell, around, file, options, program.opts<{ url?: string; profile?: string }>())),
    );
}

async function send(
  shell: Shell,
  { env, signal }: Surroundings,
  path: string,
  options: SendOptions,
  flags: { readonly url?: string; readonly profile?: string },
): Promise<number> {
  const times = Number(options.repeat);
  if (!Number.isInteger(times) || times < 1 || times > MAX_REPEATS)
    throw new UsageError(`--repeat must be a whole number from 1 to ${MAX_REPEATS}.`);
  const file = withHeaders(httpFileAt(path), options.header ?? []);
  const sign = options.sign === undefined ? undefined : await signerOf(options.sign, options, env);
  const isSaved = options.save !== undefined;
  // What is saved keeps its placeholder; signers of the URL want the address that is called.
  const isOpen = isSaved && options.to === undefined;
  const url = isOpen ? file.target : urlOf(file.target, options.to, () => targetOf(flags, env).url);
  if (isSaved)
    return save(shell, options.save, {
      ...(await signedFile(file, url, sign)),
      ...(isOpen && { target: file.target }),
    });
  let failed = 0;
  for (let nth = 1; nth <= times && !signal.aborted; nth++) {
    const request = await signedFile(file, url, sign);
    const answer = await exchange(file.method, request.target, headersOf(request), request.body, signal);
    if (answer.status >= 400) failed++;
    show(shell, answer);
    if (times > 1) shell.bar(`${nth} of ${times} sent, ${failed} refused`);
  }
  shell.bar(undefined);
  if (times > 1) shell.note(`${times} sent, ${failed} refused`);
  return failed > 0 ? EXIT.no : 0;
}

/** A text as the bytes that senders write, one character each: so they go over the wire and into a file. */
const inUtf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

type Signer = (file: HttpFile, url: string) => Promise<SignedRequest>;

/** The request as it goes out; its target is the address that is called. */
async function signedFile(file: HttpFile, url: string, sign: Signer | undefined): Promise<HttpFile> {
  if (!sign) return { ...file, target: url };
  const { headers = {}, rawBody = file.body, target } = await sign(file, url);
  const origin = /^https?:\/\/[^/?#]*/.exec(url)?.[0] ?? '';
  return { ...withProof(file, headers), body: rawBody, target: target === undefined ? url : origin + target };
}

/** The old proof makes room for the new one; names in the case that HTTP/2 and the file format have. */
function withProof(file: HttpFile, proof: Readonly<Record<string, string>>): HttpFile {
  const before = headersOf(file);
  const fresh = Object.entries(proof).map(([given, value]): [string, string] => {
    const name = given.toLowerCase();
    // What the provider took from the file is in bytes already.
    return [name, before[name] === value ? value : inUtf8(value)];
  });
  const names = new Set(fresh.map(([name]) => name));
  return { ...file, headers: [...file.headers.filter(([name]) => !names.has(name)), ...fresh] };
}

function save(shell: Shell, path: string, file: HttpFile): number {
  try {
    writeFileSync(path, writeHttpFile(file));
  } catch (error) {
    throw new UsageError(`${path} cannot be written: ${(error as Error).message}`);
  }
  shell.note(`saved as ${path}`);
  return 0;
}

function show(shell: Shell, { status, headers, body }: HttpAnswer): void {
  const text = body.toString('utf8');
  if (shell.json) return shell.print(stringifyJson({ status, headers, body: jsonOr(text) }));
  const named = headers['x-millrace-event-ids'];
  const hidden = typeof named === 'string' ? named.split(' ') : undefined;
  if (shell.quiet) return shell.print((idsIn(text) ?? hidden)?.join('\n') ?? String(status));
  shell.print(`${status} ${STATUS_CODES[status] ?? ''}`.trim());
  if (text !== '') shell.print(text);
  // The answer to a chat names no events.
  if (hidden) shell.print(`events: ${hidden.join(', ')}`);
}

function idsIn(text: string): readonly string[] | undefined {
  const answer = jsonOr(text) as { eventIds?: unknown; data?: { eventIds?: unknown } } | null;
  const ids = answer?.eventIds ?? answer?.data?.eventIds;
  return Array.isArray(ids) ? (ids as readonly string[]) : undefined;
}

function withHeaders(file: HttpFile, given: readonly string[]): HttpFile {
  const set = given.map((text): [string, string] => {
    const colon = text.indexOf(':');
    if (colon < 1) throw new UsageError(`--header must be "name: value", not "${text}".`);
    return [text.slice(0, colon).trim().toLowerCase(), inUtf8(text.slice(colon + 1).trim())];
  });
  const names = new Set(set.map(([name]) => name));
  const kept = file.headers.filter(([name]) => !names.has(name));
  return { ...file, headers: [...kept, ...set.filter(([, value]) => value !== '')] };
}

const PLACEHOLDER = /\{[\w-]+\}/g;

/** Where a request goes: the file's own target at the server, with what `--to` says. */
export function urlOf(target: string, to: string | undefined, server: () => string): string {
  if (to !== undefined && /^https?:\/\//.test(to)) return to;
  if (to?.startsWith('/')) return `${server()}${to}`;
  const filled = to === undefined ? target : filledIn(target, to);
  const open = filled.match(PLACEHOLDER);
  if (open) throw new UsageError(`The file leaves ${open.join(' and ')} open: set --to to a slug, an id or a URL.`);
  if (to !== undefined && filled === target)
    throw new UsageError(`The file has the complete target ${target}, so --to must be a path or a URL.`);
  return /^https?:\/\//.test(filled) ? filled : `${server()}${filled}`;
}

/** An id where the file wants a slug, or the other way round: the same integration, at its other address. */
function filledIn(target: string, to: string): string {
  const isId = to.startsWith('int_');
  if (isId && target.includes('{slug}')) return `/webhooks/${to}`;
  if (!isId && target.includes('{id}')) return `/api/v1/webhooks/inbound/${encodeURIComponent(to)}`;
  return target.replace(PLACEHOLDER, encodeURIComponent(to));
}

async function signerOf(name: string, options: SendOptions, env: NodeJS.ProcessEnv): Promise<Signer> {
  const modules = (options.plugins ?? env['MILLRACE_PLUGINS'] ?? '').split(',').filter((one) => one.trim() !== '');
  const plugins = new Plugins([
    builtInProviders,
    ...(await loadPlugins(
      modules.map((one) => one.trim()),
      process.cwd(),
    )),
  ]);
  const preset = plugins.presets.has(name) ? name : undefined;
  const provider = plugins.providerFor(preset === undefined ? name : PRESETS_OF, preset);
  const able = [...plugins.providers.values()].filter(({ sign }) => sign).map((one) => one.name);
  const known = [...able, ...plugins.presets.keys()];
  if (!provider?.sign)
    throw new UsageError(
      provider
        ? `Requests of ${name} cannot be signed here: ${able.join(', ')} and every preset can.`
        : `There is no provider or preset ${name}. ${suggestion(name, known)}Providers: ${able.join(', ')}. Presets: ${[...plugins.presets.keys()].sort().join(', ')}.`,
    );
  const secret = options.privateKey === undefined ? secretFor(options.secret, env) : keyIn(options.privateKey);
  const config = pairsOf('--config', options.config);
  const at = options.at === undefined ? undefined : parseTime(options.at);
  if (options.at !== undefined && !at) throw new UsageError('--at must be a time such as 2026-11-20T13:14:15Z.');
  const checked = configProblems(provider, config);
  if (checked !== undefined) throw new UsageError(`--config: ${checked}`);
  return async (file, url) => {
    const [publicUrl = ''] = /^https?:\/\/[^/?#]*/.exec(url) ?? [];
    const headers = headersOf(file);
    const target = url.slice(publicUrl.length) || '/';
    const context = { secrets: [secret], config, now: at ?? new Date(), publicUrl };
    const request = {
      headers,
      rawBody: file.body,
      query: {},
      contentType: mediaTypeOf(headers['content-type']),
      sourceIp: '',
      method: file.method,
      target,
    };
    try {
      return (await provider.signRequest?.(request, context)) ?? { headers: provider.sign!(request, context) };
    } catch (error) {
      if (error instanceof TypeError) throw new UsageError(error.message);
      throw error;
    }
  };
}

/** What is wrong with the settings of a preset: the first thing. */
function configProblems(provider: Provider, config: JsonObject): string | undefined {
  const missing = (provider.config?.required ?? []).find((key) => config[key] === undefined);
  if (missing !== undefined) return `${missing} is required.`;
  const [problem] = provider.checkIntegration?.(config, undefined) ?? [];
  return problem && `${problem.pointer.replace('/config/', '')}: ${problem.detail}`;
}

function secretFor(given: string | undefined, env: NodeJS.ProcessEnv): string {
  const secret = secretIn(given, env);
  if (secret === undefined)
    throw new UsageError('--sign needs the secret of the integration: MILLRACE_SECRET, or --secret.');
  return secret;
}

function keyIn(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${(error as Error).message}`);
  }
}
