import type { Answer, Receipt } from '#libs/plugin-sdk/src/define-provider.js';

import type { RunAnswer } from '../workflow-webhook/run-answers.js';

/** A request that is stored, now or before, and the answer of the provider where it gives one. */
export interface Accepted extends Receipt {
  readonly answer?: Answer | undefined;
  /** The sender checked the address: nothing is stored. */
  readonly isHandshake?: boolean;
  /** The run that it started, where the answer waits for it. */
  readonly run?: RunAnswer | undefined;
}

/** What is given at once. @throws TypeError for a promise, whose failure would end the process unheard. */
export function atOnce<Made>(made: Made): Made {
  if (typeof made !== 'object' || made === null || !('then' in made) || typeof made.then !== 'function') return made;
  Promise.resolve(made).catch(() => undefined);
  throw new TypeError('it returned a promise: only verify may be async');
}

/** Headers that can be written. @throws TypeError for anything else. */
export function preflightOf(given: Readonly<Record<string, string>> | undefined) {
  if (given === undefined) return undefined;
  for (const [name, value] of Object.entries(atOnce(given)))
    if (!/^[a-z0-9-]+$/.test(name) || typeof value !== 'string' || !/^[\x20-\x7e]*$/.test(value))
      throw new TypeError(`its header ${name} must have a lower-case name and a value in ASCII`);
  return given;
}

/** An answer that can be written. @throws TypeError for anything else. */
export function answerOf(given: Answer | undefined): Answer | undefined {
  if (given === undefined) return undefined;
  const { status, contentType, body } = atOnce(given);
  if (!Number.isInteger(status) || status < 200 || status > 299)
    throw new TypeError('the status of its answer must be from 200 to 299: the request is stored');
  if (typeof body !== 'string') throw new TypeError('the body of its answer must be a string');
  if (contentType === undefined) return { status, body };
  if (typeof contentType !== 'string' || !/^[\x20-\x7e]+$/.test(contentType))
    throw new TypeError('the contentType of its answer must be a media type');
  return { status, contentType, body };
}
