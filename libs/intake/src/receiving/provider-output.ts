import type { Answer } from '#libs/plugin-sdk/src/define-provider.js';

/** What is given at once. @throws TypeError for a promise; a failure of that one would end the process, unheard. */
export function atOnce<Made>(made: Made): Made {
  if (typeof made !== 'object' || made === null || !('then' in made) || typeof made.then !== 'function') return made;
  Promise.resolve(made).catch(() => undefined);
  throw new TypeError('it gave a promise: only verify may wait');
}

/** An answer that can be written. @throws TypeError for anything else. */
export function answerOf(given: Answer | undefined): Answer | undefined {
  if (given === undefined) return undefined;
  const { status, contentType, body } = atOnce(given);
  if (!Number.isInteger(status) || status < 200 || status > 299)
    throw new TypeError('its answer has no status from 200 to 299, although the request is stored');
  if (typeof body !== 'string') throw new TypeError('the body of its answer is no text');
  if (contentType === undefined) return { status, body };
  if (typeof contentType !== 'string' || !/^[\x20-\x7e]+$/.test(contentType))
    throw new TypeError('the contentType of its answer is no media type');
  return { status, contentType, body };
}
