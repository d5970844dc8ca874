import { compile } from '#libs/expressions/src/compile.js';
import { readTime } from '#libs/kernel/src/time/times.js';
import { headerText } from '#libs/plugin-sdk/src/body/body-text.js';
import type { Json } from '#libs/plugin-sdk/src/fields.js';
import type { Sources } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';

import { look, type RequestView, textOfValue } from './views.js';

/** What is read of: the body, or one element of it. */
export interface Place {
  readonly value: Json;
  /** Number of the element, where there are several. */
  readonly index: number | undefined;
}

type Source = (view: RequestView, place: Place) => string | undefined;

const HEADER = /^header:([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100})$/;

/** Compiles one source. @throws ExpressionError, SourceFault */
function sourceOf(text: string): Source {
  const header = HEADER.exec(text)?.[1];
  if (header !== undefined)
    return (view) => {
      const value = view.header(header);
      return value && headerText(value);
    };
  if (text.startsWith('header:')) throw new SourceFault('must name a header, such as header:X-Acme-Event');
  if (text.startsWith('query:')) {
    const name = text.slice('query:'.length);
    if (name === '') throw new SourceFault('must name a parameter, such as query:event');
    return (view) => view.parameters(name)[0];
  }
  if (text === 'hash:body') return (view, { index }) => view.bodyHash + (index === undefined ? '' : `:${index}`);
  if (text.startsWith('hash:')) throw new SourceFault('must be hash:body');
  compile(text);
  return (_, { value }) => {
    const given = look(text, value);
    return typeof given === 'boolean' ? undefined : textOfValue(given);
  };
}

/** What is wrong with a source, for its author. */
export class SourceFault extends Error {
  override readonly name = 'SourceFault';
}

/** Of several the first that gives a text that is not empty, or a number. @throws ExpressionError, SourceFault */
export function sourcesOf(given: Sources | undefined): Source {
  const all = [given ?? []].flat().map(sourceOf);
  return (view, place) => {
    for (const source of all) {
      const text = source(view, place);
      if (text !== undefined && text !== '') return text;
    }
    return undefined;
  };
}

/** From here on a number is in milliseconds: as seconds it would be the year 5138. */
const MILLISECONDS_FROM = 1e11;

/** RFC 3339, or seconds or milliseconds since 1970. */
export function timeOfText(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,16}(?:\.\d{1,9})?$/.test(text)) {
    const number = Number(text);
    return readTime(number < MILLISECONDS_FROM ? number * 1_000 : number)?.getTime();
  }
  return readTime(text)?.getTime();
}
