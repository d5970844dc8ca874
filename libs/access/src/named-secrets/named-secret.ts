import { type Author, type Decide, slice, ThingCommand } from '#libs/event-store/src/command-handlers.js';
import { SECRET_NAME, SECRET_NAME_IN_WORDS } from '#libs/events/src/shapes/secret-shape.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { derivedId } from '#libs/kernel/src/ids.js';

/** A secret that an organisation has named. `unknown` until it is set, then `set`; `removed` until it is set again. */
export type NamedSecret =
  | { readonly kind: 'unknown' | 'removed' }
  | {
      readonly kind: 'set';
      readonly orgId: string;
      readonly name: string;
      /** Reference of the value in force. */
      readonly reference: string;
      readonly createdAt: string;
      readonly updatedAt: string;
    };

export const namedSecret = slice<NamedSecret>()({
  name: 'secret',
  stream: streams.secret,
  initial: { kind: 'unknown' },
  evolve: {
    'secret.set': (state, { name, secret }, { metadata: { orgId, timestamp } }) => ({
      kind: 'set',
      orgId,
      name,
      reference: secret,
      createdAt: state.kind === 'set' ? state.createdAt : timestamp,
      updatedAt: timestamp,
    }),
    'secret.removed': () => ({ kind: 'removed' }),
  },
  hasEnded: ({ kind }) => kind === 'removed',
});

export const secretIdOf = (orgId: string, name: string): string => derivedId('sec', 'secret', orgId, name);

const NAME = new RegExp(`^${SECRET_NAME}$`);
const expected = `The name of a secret must be ${SECRET_NAME_IN_WORDS}.`;

/** @throws Rejected `secret.bad_name` */
export function checkedName(name: string): string {
  if (NAME.test(name)) return name;
  throw new Rejected('invalid', 'secret.bad_name', expected, { problems: [{ pointer: '/name', detail: expected }] });
}

export const secretNotFound = (name: string): Rejected =>
  new Rejected('not_found', 'secret.not_found', `There is no secret "${name}". GET /api/v1/secrets lists the names.`);

type Decision<C> = Decide<NamedSecret, 'secret.set' | 'secret.removed', C>;

export const setSecret: Decision<SetSecret> = (_, { id, name, reference }) => [
  { type: 'secret.set', data: { secretId: id, name, secret: reference } },
];

export const removeSecret: Decision<RemoveSecret> = (state, { id, name }) => {
  if (state.kind === 'unknown') throw secretNotFound(name);
  return state.kind === 'removed' ? [] : [{ type: 'secret.removed', data: { secretId: id, name } }];
};

export class SetSecret extends ThingCommand<NamedSecret> {
  constructor(
    author: Author,
    readonly name: string,
    /** Of the value, which is stored already. */
    readonly reference: string,
  ) {
    super(secretIdOf(author.orgId, name), author);
  }
}

export class RemoveSecret extends ThingCommand<NamedSecret> {
  constructor(
    author: Author,
    readonly name: string,
  ) {
    super(secretIdOf(author.orgId, name), author);
  }
}
