import { describe, expect, it } from '@jest/globals';

import { type Config, parseConfig } from './config.js';

const KEY = Buffer.alloc(32, 7).toString('base64');
const TOKEN = 'mr_0123456789abcdefghijklmnopqrstuvwxyz';

const valid = (environment: Record<string, string> = {}): Config => {
  const parsed = parseConfig(environment, '/srv/app');
  if (parsed.kind === 'invalid') throw new Error(parsed.problems.join('\n'));
  return parsed.config;
};
const problems = (environment: Record<string, string>): readonly string[] => {
  const parsed = parseConfig(environment, '/srv/app');
  return parsed.kind === 'invalid' ? parsed.problems : [];
};
const warnings = (environment: Record<string, string>): readonly string[] => {
  const parsed = parseConfig(environment, '/srv/app');
  return parsed.kind === 'valid' ? parsed.warnings : [];
};

describe('the settings', () => {
  it('are the documented defaults where nothing is set', () => {
    const { settings, ...config } = valid();
    expect(config).toEqual({
      host: '127.0.0.1',
      port: 3000,
      dataDir: '/srv/app/.millrace',
      databaseUrl: undefined,
      eventStoreUrl: undefined,
      streamPrefix: undefined,
      secretKeys: [],
      adminToken: undefined,
      roles: new Set(['api', 'worker']),
      logLevel: 'info',
    });
    expect({ ...settings }).toEqual({
      publicUrl: 'http://127.0.0.1:3000',
      workflowsDir: '/srv/app/workflows',
      allowHttpTargets: false,
      allowPrivateTargets: [],
      trustProxy: [],
      retrySchedule: [60_000, 300_000, 1_800_000, 7_200_000, 86_400_000],
      actionRetrySchedule: [10_000, 60_000, 300_000, 1_800_000],
      agentCommands: [],
      correlationBudget: 10_000,
      sealEvery: 300_000,
      checkpointFile: undefined,
      witnessUrl: undefined,
      plugins: [],
    });
  });

  it('that are empty are not set', () => {
    expect(valid({ PORT: '', MILLRACE_ROLES: ' ', DATABASE_URL: '' })).toEqual(valid());
  });

  it('let the prefix of streams be empty, which is not the default', () => {
    expect(valid({ MILLRACE_STREAM_PREFIX: '' }).streamPrefix).toBe('');
  });

  it('are read from every variable', () => {
    const config = valid({
      HOST: '0.0.0.0',
      PORT: '8080',
      MILLRACE_DATA_DIR: 'data',
      DATABASE_URL: 'postgres://u:p@db/millrace',
      EVENTSTORE_URL: 'esdb://n1:2113,n2:2113,n3:2113?tls=false',
      MILLRACE_SECRET_KEY: `${KEY}, ${Buffer.alloc(32, 8).toString('base64url')}`,
      MILLRACE_ADMIN_TOKEN: TOKEN,
      MILLRACE_ROLES: 'worker',
      MILLRACE_WORKFLOWS_DIR: '/etc/workflows',
      MILLRACE_PLUGINS: './mine.js, @acme/millrace',
      MILLRACE_ALLOW_HTTP_TARGETS: 'TRUE',
      MILLRACE_ALLOW_PRIVATE_TARGETS: '10.0.0.0/8,192.168.1.7,fd00::/8,::1',
      MILLRACE_TRUST_PROXY: '172.16.0.0/12',
      MILLRACE_PUBLIC_URL: 'https://hooks.example.com/millrace/',
      MILLRACE_RETRY_SCHEDULE: '250ms, 1s,2m',
      MILLRACE_ACTION_RETRY_SCHEDULE: '1s',
      MILLRACE_STREAM_PREFIX: 'acme.',
      MILLRACE_CORRELATION_BUDGET: '500',
      MILLRACE_SEAL_EVERY: '10s',
      MILLRACE_CHECKPOINT_FILE: 'checkpoints.txt',
      MILLRACE_WITNESS_URL: 'https://witness.example.com/w1/',
      LOG_LEVEL: 'Warn',
    });
    expect(config).toMatchObject({
      host: '0.0.0.0',
      port: 8080,
      dataDir: '/srv/app/data',
      databaseUrl: 'postgres://u:p@db/millrace',
      eventStoreUrl: 'esdb://n1:2113,n2:2113,n3:2113?tls=false',
      streamPrefix: 'acme.',
      adminToken: TOKEN,
      roles: new Set(['worker']),
      logLevel: 'warn',
      settings: {
        publicUrl: 'https://hooks.example.com/millrace',
        workflowsDir: '/etc/workflows',
        allowHttpTargets: true,
        allowPrivateTargets: ['10.0.0.0/8', '192.168.1.7/32', 'fd00::/8', '::1/128'],
        trustProxy: ['172.16.0.0/12'],
        retrySchedule: [250, 1_000, 120_000],
        actionRetrySchedule: [1_000],
        correlationBudget: 500,
        sealEvery: 10_000,
        checkpointFile: '/srv/app/checkpoints.txt',
        witnessUrl: 'https://witness.example.com/w1',
        plugins: ['./mine.js', '@acme/millrace'],
      },
    });
    expect(config.secretKeys).toEqual([Buffer.alloc(32, 7), Buffer.alloc(32, 8)]);
  });

  it.each([
    ['0.0.0.0', 'http://127.0.0.1:3000'],
    ['::', 'http://127.0.0.1:3000'],
    ['::1', 'http://[::1]:3000'],
    ['hooks.internal', 'http://hooks.internal:3000'],
  ])('on %s hand out URLs that lead there: %s', (HOST, url) => {
    expect(valid({ HOST }).settings.publicUrl).toBe(url);
  });

  it.each([
    ['PORT', '70000', '1 to 65535'],
    ['PORT', '0', '1 to 65535'],
    ['PORT', '80a', '1 to 65535'],
    ['MILLRACE_ROLES', 'api,wroker', 'api,worker'],
    ['MILLRACE_SEAL_EVERY', '10ms', '1s or more'],
    ['MILLRACE_ALLOW_HTTP_TARGETS', 'maybe', 'true or false'],
    ['MILLRACE_ALLOW_PRIVATE_TARGETS', '10.0.0.0/99', 'CIDRs'],
    ['MILLRACE_ALLOW_PRIVATE_TARGETS', '10.0.0.0/8,nonsense', 'CIDRs'],
    ['MILLRACE_TRUST_PROXY', 'proxy.internal', 'CIDRs'],
    ['MILLRACE_PUBLIC_URL', 'hooks.example.com', 'http(s)://'],
    ['MILLRACE_PUBLIC_URL', 'https://a.example/?x=1', 'without query'],
    ['MILLRACE_RETRY_SCHEDULE', '1m,soon', 'ms, s, m, h, d'],
    ['MILLRACE_RETRY_SCHEDULE', ',', 'ms, s, m, h, d'],
    ['MILLRACE_ACTION_RETRY_SCHEDULE', 'soon', 'ms, s, m, h, d'],
    ['MILLRACE_STREAM_PREFIX', '$acme.', 'start with a letter or digit'],
    ['MILLRACE_STREAM_PREFIX', 'acme', 'end with no letter'],
    ['MILLRACE_STREAM_PREFIX', 'acme/', 'letters, digits'],
    ['MILLRACE_STREAM_PREFIX', '1'.repeat(65), 'up to 64'],
    ['MILLRACE_STREAM_PREFIX', 'dry-run-', 'not the beginning of one of our own streams'],
    ['LOG_LEVEL', 'loud', 'trace, debug, info'],
    ['DATABASE_URL', 'mysql://u:p@db/x', 'postgresql://'],
    ['DATABASE_URL', 'postgres:///', 'postgresql://'],
    ['EVENTSTORE_URL', 'http://localhost:2113', 'esdb://'],
    ['MILLRACE_SECRET_KEY', 'c2hvcnQ=', '32 bytes'],
    ['MILLRACE_SECRET_KEY', `${KEY},c2hvcnQ=`, '32 bytes'],
    ['MILLRACE_ADMIN_TOKEN', 'short', '32 characters'],
    ['MILLRACE_ADMIN_TOKEN', `${TOKEN} with blanks`, '32 characters'],
  ])('%s=%j is named with what is allowed', (name, value, allowed) => {
    const found = problems({ [name]: value });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(new RegExp(`^${name} `));
    expect(found[0]).toContain(allowed);
  });

  it('that are wrong are all named at once', () => {
    expect(problems({ PORT: 'x', LOG_LEVEL: 'x', MILLRACE_ROLES: 'x' })).toHaveLength(3);
  });

  it.each(['MILLRACE_SECRET_KEY', 'MILLRACE_ADMIN_TOKEN', 'DATABASE_URL', 'EVENTSTORE_URL'])(
    'never repeat what %s holds',
    (name) => {
      expect(problems({ [name]: 'hunter2 hunter2' }).join()).not.toContain('hunter2');
    },
  );

  it('in production need a secret key, and say where one comes from', () => {
    expect(problems({ NODE_ENV: 'production' })[0]).toMatch(
      /^MILLRACE_SECRET_KEY is required.*openssl rand -base64 32/,
    );
    expect(problems({ NODE_ENV: 'production', MILLRACE_SECRET_KEY: KEY })).toEqual([]);
  });

  it('that are not known are warned of, with what was probably meant', () => {
    expect(
      warnings({ MILLRACE_ROLE: 'api', MILLRACE_RETRY_SHEDULE: '1m', MILLRACE_FROBNICATE_THE_WIDGETS: '1', PATHX: '' }),
    ).toEqual([
      'MILLRACE_FROBNICATE_THE_WIDGETS is not a setting of Millrace and has no effect.',
      'MILLRACE_RETRY_SHEDULE is not a setting of Millrace and has no effect. Did you mean MILLRACE_RETRY_SCHEDULE?',
      'MILLRACE_ROLE is not a setting of Millrace and has no effect. Did you mean MILLRACE_ROLES?',
    ]);
    expect(warnings({ MILLRACE_CRASH_AT: 'x', MILLRACE_ROLES: 'api' })).toEqual([]);
  });

  it('knows the variables of the command line and of docker-compose.yml: they are no mistakes', () => {
    const others = ['MILLRACE_URL', 'MILLRACE_TOKEN', 'MILLRACE_PROFILE', 'MILLRACE_SECRET', 'MILLRACE_PORT'];
    const parsed = parseConfig(Object.fromEntries(others.map((name) => [name, 'x'])), '/');
    expect(parsed).toMatchObject({ kind: 'valid', warnings: [] });
  });
});
