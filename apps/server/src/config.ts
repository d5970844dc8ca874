import { isAbsolute, resolve } from 'node:path';

import ipaddr from 'ipaddr.js';

import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { parseKey } from '#libs/access/src/secrets/key-file.js';
import { isStreamPrefix } from '#libs/events/src/streams.js';
import { tryParseDuration } from '#libs/kernel/src/time/durations.js';
import { nearest } from '#libs/kernel/src/text/nearest.js';
import { Settings } from '#libs/kernel/src/settings.js';

export type ServerRole = 'api' | 'worker';
const ROLES: readonly ServerRole[] = ['api', 'worker'];

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The environment, parsed and checked. */
export interface Config {
  readonly host: string;
  readonly port: number;
  /** Absolute. */
  readonly dataDir: string;
  /** Absent: the embedded PostgreSQL. */
  readonly databaseUrl: string | undefined;
  /** Absent: the log is in PostgreSQL too. */
  readonly eventStoreUrl: string | undefined;
  /** Absent: the default. Empty: streams have no prefix. */
  readonly streamPrefix: string | undefined;
  /** 32 bytes each; empty: the key of the data folder. */
  readonly secretKeys: readonly Buffer[];
  readonly adminToken: string | undefined;
  readonly roles: ReadonlySet<ServerRole>;
  readonly logLevel: LogLevel;
  readonly settings: Settings;
}

export type ParsedConfig =
  | { readonly kind: 'valid'; readonly config: Config; readonly warnings: readonly string[] }
  | { readonly kind: 'invalid'; readonly problems: readonly string[] };

type Environment = Readonly<Record<string, string | undefined>>;

/** Of our own prefix; others (`PORT` …) may be anybody's and are never called unknown. */
const KNOWN = [
  'MILLRACE_DATA_DIR',
  'MILLRACE_SECRET_KEY',
  'MILLRACE_ADMIN_TOKEN',
  'MILLRACE_ROLES',
  'MILLRACE_WORKFLOWS_DIR',
  'MILLRACE_PLUGINS',
  'MILLRACE_ALLOW_HTTP_TARGETS',
  'MILLRACE_ALLOW_PRIVATE_TARGETS',
  'MILLRACE_TRUST_PROXY',
  'MILLRACE_PUBLIC_URL',
  'MILLRACE_RETRY_SCHEDULE',
  'MILLRACE_ACTION_RETRY_SCHEDULE',
  'MILLRACE_STREAM_PREFIX',
  'MILLRACE_CORRELATION_BUDGET',
  'MILLRACE_AGENT_COMMANDS',
  'MILLRACE_SEAL_EVERY',
  'MILLRACE_CHECKPOINT_FILE',
  'MILLRACE_WITNESS_URL',
  'MILLRACE_CRASH_AT',
  // Not settings of the server, and no mistakes: of the command line, and of docker-compose.yml.
  'MILLRACE_URL',
  'MILLRACE_TOKEN',
  'MILLRACE_PROFILE',
  'MILLRACE_SECRET',
  'MILLRACE_PORT',
  'MILLRACE_CLUSTER_PORT',
];

/**
 * All problems at once, each naming its variable and what is allowed, and never repeating a secret.
 * @param folder what relative paths are relative to.
 */
export function parseConfig(environment: Environment, folder: string): ParsedConfig {
  const problems: string[] = [];
  const read = reader(environment, problems);
  const path = (text: string) => (isAbsolute(text) ? text : resolve(folder, text));

  const host = read('HOST', '127.0.0.1', (text) => text, 'an address or host name to listen on');
  const port = read('PORT', 3000, parsePort, 'a whole number from 1 to 65535');
  const secretKeys = read(
    'MILLRACE_SECRET_KEY',
    [],
    parseKeys,
    '32 bytes in base64, or several such keys separated by commas',
    { secret: true },
  );
  if (secretKeys.length === 0 && environment['NODE_ENV'] === 'production' && !environment['MILLRACE_SECRET_KEY'])
    problems.push(
      'MILLRACE_SECRET_KEY is required with NODE_ENV=production: set it to 32 random bytes in base64, for instance from "openssl rand -base64 32", and keep a copy.',
    );
  const config: Config = {
    host,
    port,
    dataDir: path(read('MILLRACE_DATA_DIR', '.millrace', (text) => text, 'a folder')),
    databaseUrl: read(
      'DATABASE_URL',
      undefined,
      urlOf('postgres:', 'postgresql:'),
      'postgresql://user:password@host:5432/database',
      { secret: true },
    ),
    eventStoreUrl: read(
      'EVENTSTORE_URL',
      undefined,
      urlOf('esdb:', 'esdb+discover:'),
      'esdb://host:2113?tls=false or esdb+discover://…',
      { secret: true },
    ),
    // Unlike elsewhere, the empty text is a value.
    streamPrefix:
      environment['MILLRACE_STREAM_PREFIX']?.trim() === ''
        ? ''
        : read('MILLRACE_STREAM_PREFIX', undefined, parsePrefix, PREFIXES),
    secretKeys,
    adminToken: read(
      'MILLRACE_ADMIN_TOKEN',
      undefined,
      parseToken,
      '32 characters or more, visible ASCII without spaces',
      { secret: true },
    ),
    roles: read('MILLRACE_ROLES', new Set(ROLES), parseRoles, 'api, worker, or api,worker'),
    logLevel: read(
      'LOG_LEVEL',
      'info',
      (text) => LOG_LEVELS.find((level) => level === text.toLowerCase()),
      LOG_LEVELS.join(', '),
    ),
    settings: new Settings({
      publicUrl: read(
        'MILLRACE_PUBLIC_URL',
        defaultUrl(host, port),
        parsePublicUrl,
        'http(s)://host[:port][/path], without query',
      ),
      workflowsDir: path(read('MILLRACE_WORKFLOWS_DIR', 'workflows', (text) => text, 'a folder')),
      allowHttpTargets: read('MILLRACE_ALLOW_HTTP_TARGETS', false, parseBoolean, 'true or false'),
      allowPrivateTargets: read('MILLRACE_ALLOW_PRIVATE_TARGETS', [], parseCidrs, CIDRS),
      trustProxy: read('MILLRACE_TRUST_PROXY', [], parseCidrs, CIDRS),
      retrySchedule: read(
        'MILLRACE_RETRY_SCHEDULE',
        [60_000, 300_000, 1_800_000, 7_200_000, 86_400_000],
        parseSchedule,
        'comma-separated delays such as 1m,5m,30m,2h,24h (ms, s, m, h, d; each at most 366d)',
      ),
      actionRetrySchedule: read(
        'MILLRACE_ACTION_RETRY_SCHEDULE',
        [10_000, 60_000, 300_000, 1_800_000],
        parseSchedule,
        'comma-separated delays such as 10s,1m,5m,30m (ms, s, m, h, d; each at most 366d)',
      ),
      correlationBudget: read(
        'MILLRACE_CORRELATION_BUDGET',
        10_000,
        parseBudget,
        'a whole number of events from 10 to 1000000',
      ),
      sealEvery: read('MILLRACE_SEAL_EVERY', 300_000, parseSealEvery, 'a duration of 1s or more, such as 5m'),
      checkpointFile: read('MILLRACE_CHECKPOINT_FILE', undefined, path, 'a file'),
      witnessUrl: read(
        'MILLRACE_WITNESS_URL',
        undefined,
        parsePublicUrl,
        'http(s)://host[:port][/path], without query',
      ),
      plugins: read('MILLRACE_PLUGINS', [], list, 'comma-separated module specifiers'),
      agentCommands: read(
        'MILLRACE_AGENT_COMMANDS',
        [],
        parsePaths,
        'comma-separated absolute paths of programs, such as /usr/local/bin/triage',
      ),
    }),
  };
  return problems.length > 0
    ? { kind: 'invalid', problems }
    : { kind: 'valid', config, warnings: unknownVariables(environment) };
}

const PREFIXES =
  'nothing, or up to 64 letters, digits, ".", "_", ":" and "-" that start with a letter or digit and end with no letter, such as "acme."; not the beginning of one of our own streams, such as "run" with a "-"';
const parsePrefix = (text: string): string | undefined => (isStreamPrefix(text) ? text : undefined);

const CIDRS = 'comma-separated CIDRs such as 10.0.0.0/8,192.168.1.7';

/** Unset and empty mean the default. `parse` gives `undefined` for what is not allowed. */
const reader =
  (environment: Environment, problems: string[]) =>
  <T, D extends T | undefined>(
    name: string,
    fallback: D,
    parse: (text: string) => T | undefined,
    allowed: string,
    { secret = false } = {},
  ): T | D => {
    const text = environment[name]?.trim();
    if (text === undefined || text === '') return fallback;
    const value = parse(text);
    if (value !== undefined) return value;
    problems.push(`${name} must be ${allowed}. ${secret ? 'Its value is not shown.' : `Got ${stringifyJson(text)}.`}`);
    return fallback;
  };

const list = (text: string): readonly string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** Every part parsed, or nothing. */
function each<T>(text: string, parse: (part: string) => T | undefined): readonly T[] | undefined {
  const values = list(text).map(parse);
  return values.length > 0 && values.every((value) => value !== undefined) ? values : undefined;
}

function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

function parseBudget(text: string): number | undefined {
  const budget = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  return budget >= 10 && budget <= 1_000_000 ? budget : undefined;
}

const parseBoolean = (text: string): boolean | undefined =>
  ({ true: true, '1': true, yes: true, false: false, '0': false, no: false })[text.toLowerCase()];

const parseToken = (text: string): string | undefined => (/^[\x21-\x7e]{32,512}$/.test(text) ? text : undefined);

const parseKeys = (text: string): readonly Buffer[] | undefined =>
  each(text, (part) => {
    const key = parseKey(part);
    return Buffer.isBuffer(key) ? key : undefined;
  });

function parseRoles(text: string): ReadonlySet<ServerRole> | undefined {
  const roles = each(text, (part) => ROLES.find((role) => role === part));
  return roles && new Set(roles);
}

const parseSchedule = (text: string): readonly number[] | undefined => each(text, tryParseDuration);

function parseSealEvery(text: string): number | undefined {
  const milliseconds = tryParseDuration(text);
  return milliseconds !== undefined && milliseconds >= 1_000 ? milliseconds : undefined;
}

const parsePaths = (text: string): readonly string[] | undefined => {
  const paths = list(text);
  return paths.every((path) => isAbsolute(path)) ? paths : undefined;
};

const parseCidrs = (text: string): readonly string[] | undefined =>
  each(text, (part) => {
    if (ipaddr.isValidCIDR(part)) return part;
    if (!ipaddr.isValid(part)) return undefined;
    return `${part}/${ipaddr.parse(part).kind() === 'ipv4' ? 32 : 128}`;
  });

const urlOf =
  (...protocols: readonly string[]) =>
  (text: string): string | undefined => {
    // A list of nodes (esdb://a:2113,b:2113) is no URL to the parser: its beginning is all that can be checked here.
    const protocol = /^[a-z+]+:(?=\/\/[^/?#]+)/.exec(text)?.[0];
    return protocol !== undefined && protocols.includes(protocol) ? text : undefined;
  };

function parsePublicUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const fine = /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '' && url.username === '';
  return fine ? url.href.replace(/\/+$/, '') : undefined;
}

/** How this machine reaches the server when nobody says otherwise: an address that means "all" is no address to call. */
function defaultUrl(host: string, port: number): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}

function unknownVariables(environment: Environment): readonly string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith('MILLRACE_') && !KNOWN.includes(name))
    .sort()
    .map((name) => {
      const meant = nearest(name, KNOWN);
      const hint = meant === undefined ? '' : ` Did you mean ${meant}?`;
      return `${name} is not a setting of Millrace and has no effect.${hint}`;
    });
}
