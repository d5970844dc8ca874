import { Core } from './0001-core.js';

/** In order. A released migration is never edited: add one. The digits that end a migration's name are its number. */
export const migrations = [Core];
