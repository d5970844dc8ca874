const PREFIX = 'sub_';
const SHOWN = /^sub_([\w-]{22})$/;

/** The id under which a person is shown: a keyed hash, from which nobody can tell who it is. */
export const subjectIdOf = (hash: string): string => PREFIX + hash;

/** The hash in such an id; `undefined` for an id of a sender. */
export const hashIn = (id: string): string | undefined => SHOWN.exec(id)?.[1];
