import { describe, expect, it } from '@jest/globals';
import { Type } from '@sinclair/typebox';

import { BUILT_IN_ACTIONS, defineAction } from '../define-action.js';
import { definePlugin, type Plugin } from '../define-plugin.js';
import { defineProvider } from '../define-provider.js';
import { loadPlugins } from './load-plugins.js';
import { Plugins } from './plugins.js';

const provider = (name: string) =>
  defineProvider({
    name,
    description: 'For specs.',
    verify: () => ({ ok: true, authentication: 'slug' }),
    normalise: () => ({ eventType: 'x', events: [] }),
  });
const plugin = (more: Partial<Plugin> = {}): Plugin => definePlugin({ name: 'acme', sdk: 1, ...more });
const broken = (more: object): object => ({ name: 'acme', sdk: 1, providers: [{ ...provider('one'), ...more }] });
const key = { properties: { apiKey: { type: 'string' } } };
const run = () => Promise.resolve({ checked: 0, missing: [] });
const step = {
  name: 'acme',
  description: 'For specs.',
  inputSchema: {} as never,
  effects: false,
  run: () => 1,
} as never;

const action = (more: object = {}) => ({
  ...defineAction({
    name: 'page-on-call',
    description: 'For specs.',
    inputSchema: Type.Object({ team: Type.String() }),
    run: ({ team }) => Promise.resolve(team.length),
  }),
  ...more,
});

/** A module that exports something, without a file. */
const moduleOf = (source: string): string => `data:text/javascript,${encodeURIComponent(source)}`;

describe('plug-ins', () => {
  it('give their providers, steps and actions by name', () => {
    const { providers, steps, actions } = new Plugins([
      plugin({ providers: [provider('one'), provider('two')] }),
      plugin({ name: 'other', providers: [provider('three')], steps: [step], actions: [action()] }),
    ]);
    expect([...providers.keys()]).toEqual(['one', 'two', 'three']);
    expect([...steps.keys()]).toEqual(['acme']);
    expect([...actions.keys()]).toEqual(['page-on-call']);
  });

  it.each<[string, unknown, RegExp]>([
    ['is nothing', undefined, /default export is not a plug-in/],
    ['has no name', { sdk: 1 }, /default export is not a plug-in/],
    ['is written for another sdk', { name: 'acme', sdk: 2 }, /acme.*sdk 2.*sdk 1/],
    ['says no sdk', { name: 'acme' }, /sdk undefined/],
    ['has providers that are no list', { name: 'acme', sdk: 1, providers: {} }, /providers must be a list/],
    ['has a provider, not providers', { name: 'acme', sdk: 1, provider: [] }, /key provider is unknown.*"providers"/],
    ['has a key that nobody knows', { name: 'acme', sdk: 1, hooks: [] }, /key hooks is unknown.*Allowed: name, sdk/],
    ['has a typo in a provider', broken({ keepHeader: ['x-event'] }), /keepHeader of its provider one.*keepHeaders/],
    ['has a provider with a bad name', { name: 'acme', sdk: 1, providers: [provider('No Name')] }, /lower-case/],
    [
      'has a provider that cannot verify',
      { name: 'acme', sdk: 1, providers: [{ ...provider('one'), verify: undefined }] },
      /one has no function verify/,
    ],
    [
      'has a provider that cannot normalise',
      { name: 'acme', sdk: 1, providers: [{ ...provider('one'), normalise: 'x' }] },
      /one has no function normalise/,
    ],
    [
      'keeps headers by names that no request has',
      { name: 'acme', sdk: 1, providers: [{ ...provider('one'), keepHeaders: ['X-Upper'] }] },
      /keepHeaders.*one/,
    ],
    [
      'has a config without properties',
      { name: 'acme', sdk: 1, providers: [{ ...provider('one'), config: {} }] },
      /config.*one/,
    ],
    [
      'keeps a header that proves who sent it',
      broken({ keepHeaders: ['x-event', 'authorization'] }),
      /keepHeaders of its provider one has authorization, which would be stored/,
    ],
    ['has a list of headers with a hole', broken({ keepHeaders: [, 'x-event'] }), /keepHeaders of its provider one/],
    ['has a config that is a list', broken({ config: [] }), /config of its provider one has no properties/],
    [
      'has a config of no JSON Schema',
      broken({ config: { properties: { a: { type: 'nonsense' } } } }),
      /config of its provider one has properties that are not JSON Schemas: .*type/,
    ],
    [
      'has a config whose schema is no object',
      broken({ config: { properties: { a: 'string' } } }),
      /config of its provider one has properties that are not JSON Schemas/,
    ],
    [
      'has a config that refers to nothing',
      broken({ config: { properties: { a: { $ref: '#/nowhere' } } } }),
      /config of its provider one has properties that are not JSON Schemas/,
    ],
    ...(['secrets', 'required'] as const).flatMap((list): [string, unknown, RegExp][] =>
      ['apiKey', ['apikey'], [1], null].map((value) => [
        `has ${JSON.stringify(value)} for ${list}`,
        broken({ config: { ...key, [list]: value } }),
        new RegExp(`${list} in config of its provider one is not a list of keys`),
      ]),
    ),
    ['reconciles by nothing', broken({ reconcile: {} }), /reconcile of its provider one has no function run/],
    ['reconciles by a function alone', broken({ reconcile: run }), /reconcile of its provider one has no function run/],
    ...[undefined, 'apiKey', [7], ['token']].map((needs): [string, unknown, RegExp] => [
      `needs ${JSON.stringify(needs)} to reconcile`,
      broken({ config: key, reconcile: { needs, run } }),
      /needs in reconcile of its provider one is not a list of keys of its config/,
    ]),
    ['checks secrets by nothing', broken({ checkSecret: true }), /checkSecret of its provider one is not a function/],
    ...(['normalise', 'respond', 'sign', 'checkSecret'] as const).map((method): [string, unknown, RegExp] => [
      `has a provider whose ${method} makes one wait`,
      { name: 'acme', sdk: 1, providers: [{ ...provider('one'), [method]: async () => ({}) }] },
      new RegExp(`${method} of its provider one must not be async`),
    ]),
    [
      'has a provider whose normalise is a generator',
      { name: 'acme', sdk: 1, providers: [{ ...provider('one'), *normalise() {} }] },
      /normalise of its provider one must not be async/,
    ],
    [
      'answers with something that is no function',
      { name: 'acme', sdk: 1, providers: [{ ...provider('one'), respond: {} }] },
      /respond of its provider one is not a function/,
    ],
    [
      'is neither a chat nor none',
      { name: 'acme', sdk: 1, providers: [{ ...provider('one'), communicator: 'yes' }] },
      /communicator of its provider one/,
    ],
    [
      'refuses without words',
      { name: 'acme', sdk: 1, providers: [{ ...provider('one'), refusesInbound: true }] },
      /refusesInbound of its provider one/,
    ],
    ['has a list with a hole', { name: 'acme', sdk: 1, providers: [undefined] }, /each provider needs a name/],
    [
      'throws while it is looked at',
      {
        name: 'acme',
        sdk: 1,
        get providers(): never {
          throw new Error('not today');
        },
      },
      /throws while it is checked: not today/,
    ],
    ['has a step without run', { name: 'acme', sdk: 1, steps: [{ name: 'x' }] }, /needs a name and a function run/],
    [
      'has a step that takes anything',
      { name: 'acme', sdk: 1, steps: [{ name: 'x', run: () => 1, effects: false }] },
      /step x needs an inputSchema/,
    ],
    [
      'has a step that does not say what it does',
      { name: 'acme', sdk: 1, steps: [{ name: 'x', run: () => 1, inputSchema: {} }] },
      /step x needs effects: true or false/,
    ],
    ['has actions that are no list', { name: 'acme', sdk: 1, actions: {} }, /actions must be a list/],
    ['has an action that is none', { name: 'acme', sdk: 1, actions: [null] }, /each action needs a name/],
    ...(['Page', 'x', 'p'.repeat(41), 'page.oncall', '1page', undefined] as const).map(
      (name): [string, unknown, RegExp] => [
        `has an action named ${name}`,
        { name: 'acme', sdk: 1, actions: [action({ name })] },
        /each action needs a name of 2 to 40 lower-case letters/,
      ],
    ),
    ...BUILT_IN_ACTIONS.map((name): [string, unknown, RegExp] => [
      `has an action with the built-in name ${name}`,
      { name: 'acme', sdk: 1, actions: [action({ name })] },
      /action \w+ has the name of a built-in action/,
    ]),
    [
      'has an action without run',
      { name: 'acme', sdk: 1, actions: [action({ run: 'later' })] },
      /action page-on-call has no function run/,
    ],
    [
      'has an action that says nothing of itself',
      { name: 'acme', sdk: 1, actions: [action({ description: ' ' })] },
      /action page-on-call has no description/,
    ],
    [
      'has an action that takes anything',
      { name: 'acme', sdk: 1, actions: [action({ inputSchema: undefined })] },
      /action page-on-call needs an inputSchema/,
    ],
    [
      'has an action whose inputSchema is none',
      { name: 'acme', sdk: 1, actions: [action({ inputSchema: { type: 'strnig' } })] },
      /inputSchema of its action page-on-call is not a JSON Schema/,
    ],
    [
      'has an action twice',
      { name: 'acme', sdk: 1, actions: [action(), action()] },
      /action page-on-call exists already, in acme/,
    ],
  ])('are refused if one %s', (_, given, reason) => {
    expect(() => new Plugins([given as Plugin])).toThrow(reason);
  });

  it('may have a config with required keys and secrets, and reconcile with them', () => {
    const config = { properties: { ...key.properties, url: { type: 'string', format: 'uri', $id: 'url' } } };
    const whole = {
      config: { ...config, required: ['apiKey'], secrets: ['apiKey'] },
      reconcile: { needs: ['apiKey'], run },
    };
    const [one, two] = ['one', 'two'].map((name) => ({
      ...provider(name),
      ...structuredClone({ ...whole, reconcile: undefined }),
      reconcile: whole.reconcile,
    }));
    expect(new Plugins([plugin({ providers: [one!, two!] })]).providers.size).toBe(2);
  });

  it('may have actions whose schemas have the same name', () => {
    const [one, two] = ['page-one', 'page-two'].map((name) =>
      action({ name, inputSchema: Type.Object({ text: Type.String() }, { $id: 'input' }) }),
    );
    expect(new Plugins([plugin({ actions: [one!, two!] })]).actions.size).toBe(2);
  });

  it('are refused if two claim the same provider, step or action, naming both', () => {
    const first = plugin({ providers: [provider('one')], steps: [step], actions: [action()] });
    expect(() => new Plugins([first, plugin({ name: 'late', providers: [provider('one')] })])).toThrow(
      /late.*provider one.*in acme/,
    );
    expect(() => new Plugins([first, plugin({ name: 'late', steps: [step] })])).toThrow(/late.*step acme.*in acme/);
    expect(() => new Plugins([first, plugin({ name: 'late', actions: [action()] })])).toThrow(
      /late.*action page-on-call.*in acme/,
    );
  });
});

describe('loading plug-ins', () => {
  it('takes the default export of each module, in order', async () => {
    const loaded = await loadPlugins(
      ['a', 'b'].map((name) => moduleOf(`export default { name: '${name}', sdk: 1 }`)),
      '/',
    );
    expect(loaded.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('takes a package by its folder, and a module by its path', async () => {
    const folder = new URL('../../../../docs/examples/', import.meta.url).pathname;
    for (const specifier of ['./provider-shipyard', './provider-shipyard/index.js']) {
      const [loaded] = await loadPlugins([specifier], folder);
      expect(loaded).toMatchObject({ name: 'millrace-provider-shipyard', providers: [{ name: 'shipyard' }] });
    }
  });

  it('are told apart from packages: a folder begins with a dot', async () => {
    await expect(loadPlugins(['docs/examples/action-pager'], process.cwd())).rejects.toThrow(
      'write ./docs/examples/action-pager.',
    );
    await expect(loadPlugins(['no-such-package'], process.cwd())).rejects.not.toThrow('write ./');
  });

  it('waits only so long for a module that never ends to be loaded', async () => {
    await expect(loadPlugins([moduleOf('await new Promise(() => {})')], '/', 20)).rejects.toThrow(
      /cannot be loaded: it is still loading after 0.02 s/,
    );
  });

  it.each([
    ['./not-there.js', /not-there[.]js cannot be used: its module cannot be loaded/],
    ['a-package-that-nobody-has', /a-package-that-nobody-has cannot be used: its module cannot be loaded/],
    [moduleOf('throw new Error("broken inside")'), /cannot be loaded: broken inside/],
    [moduleOf('process.exit(0)'), /cannot be loaded: it calls process.exit/],
    [moduleOf('await null; process.exit()'), /cannot be loaded: it calls process.exit/],
    [moduleOf('export const plugin = {}'), /default export is not a plug-in/],
    [moduleOf('export default { name: "old", sdk: 0 }'), /old .*sdk 0/],
  ])('names the module and the reason: %s', async (specifier, reason) => {
    await expect(loadPlugins([specifier], '/nowhere')).rejects.toMatchObject({
      code: 'plugin.unusable',
      message: expect.stringMatching(reason),
    });
  });
});
