import { readFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';
import { load, YAML11_SCHEMA } from 'js-yaml';

/** There is no Docker where tests run: what it will be given is held against what its servers need. */

interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly profiles?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly env_file?: readonly object[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

const read = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');

const text = read('docker-compose.yml');
const { services, volumes } = load(text, { schema: YAML11_SCHEMA }) as {
  services: Record<string, Service>;
  volumes: Record<string, null>;
};
const dockerfile = read('Dockerfile');

const named = (pattern: RegExp): [string, Service][] => Object.entries(services).filter(([name]) => pattern.test(name));
const apps = named(/^app/);
const stores = named(/^eventstoredb/);
const databases = named(/^postgres/);
const nodes = named(/^eventstoredb-\d$/);

/** contracts.md, section 1. */
const APP_VARIABLES = [
  ...['HOST', 'PORT', 'DATABASE_URL', 'EVENTSTORE_URL', 'LOG_LEVEL', 'NODE_ENV'],
  ...['MILLRACE_DATA_DIR', 'MILLRACE_SECRET_KEY', 'MILLRACE_ADMIN_TOKEN', 'MILLRACE_WORKFLOWS_DIR', 'MILLRACE_ROLES'],
  ...['MILLRACE_PLUGINS', 'MILLRACE_ALLOW_HTTP_TARGETS', 'MILLRACE_ALLOW_PRIVATE_TARGETS', 'MILLRACE_TRUST_PROXY'],
  ...['MILLRACE_PUBLIC_URL', 'MILLRACE_RETRY_SCHEDULE', 'MILLRACE_STREAM_PREFIX'],
];

describe('docker-compose.yml', () => {
  test('starts app, EventStoreDB and PostgreSQL without a profile, and the cluster with its own', () => {
    const unprofiled = Object.entries(services).filter(([, { profiles }]) => profiles === undefined);
    expect(unprofiled.map(([name]) => name).sort()).toEqual(['app', 'eventstoredb', 'postgres']);
    const clustered = Object.entries(services).filter(([, { profiles }]) => profiles?.includes('cluster'));
    const rest = ['eventstoredb-1', 'eventstoredb-2', 'eventstoredb-3', 'postgres-cluster'];
    expect(clustered.map(([name]) => name).sort()).toEqual(['app-cluster', ...rest]);
  });

  test.each(stores)('%s is a version that does not skip events when it filters', (_, { image }) => {
    const version = /^docker\.eventstore\.com\/eventstore\/eventstoredb-ee:(\d+)\.(\d+)\.(\d+)$/.exec(image!);
    const [major, minor, patch] = version!.slice(1).map(Number) as [number, number, number];
    expect([major, minor]).toEqual([24, 10]);
    expect(patch).toBeGreaterThanOrEqual(5);
  });

  test.each(stores)(
    '%s is set up as a log, and keeps its data',
    (name, { environment, volumes: mounts, healthcheck }) => {
      expect(environment).toMatchObject({
        EVENTSTORE_INSECURE: 'true',
        EVENTSTORE_NODE_PORT: '2113',
        EVENTSTORE_RUN_PROJECTIONS: 'None',
        EVENTSTORE_TELEMETRY_OPTOUT: 'true',
        EVENTSTORE_CLUSTER_SIZE: name === 'eventstoredb' ? '1' : '3',
      });
      expect(mounts!.map((mount) => mount.split(':')[1])).toEqual(['/var/lib/eventstore', '/var/log/eventstore']);
      expect(healthcheck!.test.join(' ')).toContain('curl --fail http://localhost:2113/health/live');
    },
  );

  test('three nodes know each other, and advertise the names by which the app reaches them', () => {
    const names = nodes.map(([name]) => name);
    expect(names).toHaveLength(3);
    for (const [name, { environment }] of nodes) {
      const others = names.filter((other) => other !== name).map((other) => `${other}:2113`);
      expect(environment).toMatchObject({
        EVENTSTORE_DISCOVER_VIA_DNS: 'false',
        EVENTSTORE_GOSSIP_SEED: others.join(','),
        EVENTSTORE_NODE_HOST_ADVERTISE_AS: name,
        EVENTSTORE_REPLICATION_HOST_ADVERTISE_AS: name,
      });
    }
    const hosts = names.map((name) => `${name}:2113`).join(',');
    const url = services['app-cluster']!.environment!['EVENTSTORE_URL'];
    expect(url).toBe(`esdb://${hosts}?tls=false&nodePreference=leader`);
  });

  test.each(databases)('%s is PostgreSQL 17 or newer, has a password, a health check and a volume', (_, service) => {
    const major = Number(/^postgres:(\d+)$/.exec(service.image!)![1]);
    expect(major).toBeGreaterThanOrEqual(17);
    expect(service.environment!['POSTGRES_PASSWORD']).toMatch(/^\$\{POSTGRES_PASSWORD:\?.+\}$/);
    expect(service.healthcheck!.test.join(' ')).toContain('pg_isready');
    // From 18 on the image keeps its data one level higher, and refuses the old place.
    expect(service.volumes![0]!.split(':')[1]).toBe(major >= 18 ? '/var/lib/postgresql' : '/var/lib/postgresql/data');
  });

  test.each(apps)('%s runs in production, and is told what it must know in words that help', (_, { environment }) => {
    expect(environment).toMatchObject({ NODE_ENV: 'production', HOST: '0.0.0.0', PORT: '3000' });
    expect(environment!['MILLRACE_SECRET_KEY']).toMatch(/^\$\{MILLRACE_SECRET_KEY:\?.*openssl rand -base64 32.*\}$/);
    expect(environment!['MILLRACE_ADMIN_TOKEN']).toMatch(/^\$\{MILLRACE_ADMIN_TOKEN:\?.*32 characters.*\}$/);
  });

  test.each(apps)('%s gets no variable that it does not know', (_, { environment }) => {
    expect(Object.keys(environment!).filter((name) => !APP_VARIABLES.includes(name))).toEqual([]);
  });

  test.each(apps)('%s waits until every server that its addresses name is healthy', (_, service) => {
    const { DATABASE_URL, EVENTSTORE_URL } = service.environment!;
    const hosts = [...`${DATABASE_URL} ${EVENTSTORE_URL}`.matchAll(/(?:@|\/\/|,)([a-z0-9-]+):(?:5432|2113)/g)];
    const named = hosts.map(([, host]) => host!).sort();
    expect(Object.keys(service.depends_on!).sort()).toEqual(named);
    for (const host of named) {
      expect(services[host]!.healthcheck).toBeDefined();
      expect(service.depends_on![host]).toEqual({ condition: 'service_healthy' });
    }
  });

  test('no two services publish one port or share one volume', () => {
    const ports = Object.values(services).flatMap((service) => service.ports ?? []);
    const published = ports.map((port) => port.replace(/:\d+$/, ''));
    expect(new Set(published).size).toBe(published.length);
    const all = Object.values(services).flatMap((service) => service.volumes ?? []);
    const mounts = all.filter((mount) => !mount.startsWith('./'));
    const used = mounts.map((mount) => mount.split(':')[0]!);
    expect(new Set(used).size).toBe(used.length);
    expect(Object.keys(volumes).sort()).toEqual(used.sort());
  });

  test.each(apps)(
    '%s reads its settings from .env, its workflows and plug-ins from here, and hands out its own port',
    (name, service) => {
      expect(service.env_file).toEqual([{ path: '.env', required: false }]);
      expect(service.volumes).toEqual(['./workflows:/app/workflows:ro', './plugins:/app/plugins:ro']);
      const port = /\$\{(\w+):-\d+\}/.exec(service.ports![0]!)![0];
      expect(service.environment!['MILLRACE_PUBLIC_URL']).toBe(`\${MILLRACE_PUBLIC_URL:-http://localhost:${port}}`);
      expect(name).toMatch(/^app/);
    },
  );

  test.each(stores)('%s is given no EVENTSTORE_URL, which it would take for an option', (_, service) => {
    expect(service.env_file).toBeUndefined();
    expect(Object.keys(service.environment!)).not.toContain('EVENTSTORE_URL');
  });

  test('an EventStoreDB without TLS is published on loopback at most', () => {
    for (const [, { ports = [] }] of [...stores, ...databases])
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  test('every variable that it reads is explained at its top', () => {
    const head = text.slice(0, text.search(/^[^#\n]/m));
    const variables = new Set([...text.matchAll(/\$\{([A-Z_]+)/g)].map(([, name]) => name!));
    expect(variables.size).toBeGreaterThan(4);
    for (const variable of variables) expect(head).toMatch(new RegExp(`^#\\s+${variable}\\s`, 'm'));
  });
});

describe('the Dockerfile', () => {
  const stages = dockerfile.split(/^FROM /m).slice(1);

  test('builds in one stage and runs in another, with what runs alone', () => {
    expect(stages).toHaveLength(2);
    expect(stages[0]).toContain('RUN npm ci\n');
    expect(stages[0]).toContain('RUN node apps/server/bin/build.mjs');
    expect(stages[1]).toContain('RUN npm ci --omit=dev');
    expect(stages[1]).toContain('COPY --from=build /app/dist ./dist');
    expect(stages[1]).toContain('COPY workflows ./workflows');
  });

  test('runs a Node that the project is tested with, as a user without rights', () => {
    const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
    for (const stage of stages) expect(engines.node).toContain(`^${/^node:(\d+)/.exec(stage)![1]}.`);
    expect(stages[1]!.indexOf('USER node')).toBeLessThan(
      stages[1]!.indexOf('CMD ["node", "dist/apps/server/src/main.js"]'),
    );
  });

  test('asks /healthz whether it is alive', () => {
    expect(stages[1]).toMatch(/HEALTHCHECK[\s\S]*\/healthz/);
  });

  test('is not given secrets, databases or installed packages to copy', () => {
    const lines = read('.dockerignore').split('\n');
    expect(lines).toContain('*');
    const allowed = lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names]) => names!.split(' '));
    expect([...new Set(copied)].filter((name) => !allowed.includes(name))).toEqual([]);
    expect(allowed.filter((name) => !copied.includes(name))).toEqual([]);
  });
});
