import { timingSafeEqual } from '#libs/plugin-sdk/src/signatures.js';
import type { HmacScheme, PublicKeyScheme, TimestampShape } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';
import type { Json } from '#libs/plugin-sdk/src/fields.js';

import { decode, digestOf, type Encoding } from '../request/encodings.js';
import { isFresh, readStamp, writeStamp } from '../request/freshness.js';
import { type Finding, malformed, mismatch, missing, proved, type SignedParts, stale, type Values } from './proof.js';
import { withField } from '../request/rewritten-body.js';
import { entriesOf, MAX_SIGNATURES, writeList } from '../request/signature-list.js';
import { type Signed, signedTemplate, type SignedTemplate } from '../request/signed-template.js';
import { look, type RequestView, textOfValue } from '../request/views.js';

/** What schemes with a signature have in common: where it stands, what is signed, and when that was. */
export type SignatureScheme = Pick<
  HmacScheme,
  'header' | 'field' | 'encoding' | 'prefix' | 'list' | 'signed' | 'timestamp' | 'id' | 'bodyHash'
>;

export const asSignature = (scheme: HmacScheme | PublicKeyScheme): SignatureScheme => scheme;

/** A signature in a request: checked here but for the cryptography. */
export class Signature {
  readonly template: SignedTemplate;
  private readonly encoding: Encoding;
  private readonly unit: TimestampShape['unit'];

  constructor(private readonly scheme: SignatureScheme) {
    this.template = signedTemplate(scheme.signed ?? '{body}');
    this.encoding = scheme.encoding ?? 'hex';
    this.unit = scheme.timestamp?.unit;
  }

  /** It stands in the body, or is made over parts of it. */
  get isInValue(): boolean {
    const { field, timestamp } = this.scheme;
    return field !== undefined || timestamp?.field !== undefined || this.template.names.has('json');
  }

  private get isTimed(): boolean {
    return this.scheme.timestamp !== undefined || this.scheme.list?.timestamp !== undefined;
  }

  get headers(): readonly string[] {
    return this.scheme.header === undefined ? [] : [this.scheme.header.toLowerCase()];
  }

  /**
   * Checks each value that has to be proved. The time is looked at last, so that nobody learns of the clock without a
   * right signature.
   * @param matches whether one of the signatures is right over these bytes, in constant time over all keys.
   */
  verify(
    view: RequestView,
    values: Values,
    now: Date,
    authentication: string,
    matches: (signatures: readonly Buffer[], content: Buffer) => boolean,
    /** Bytes of a right signature, where all have the same length. */
    length?: number,
  ): Finding {
    let late = false;
    const all = this.isInValue ? values() : [null];
    for (const value of all) {
      const finding = this.verifyOne(view, value, now, matches, length);
      if (finding === 'stale') late = true;
      else if (finding) return finding;
    }
    return late ? stale() : proved(authentication);
  }

  private verifyOne(
    view: RequestView,
    value: Json,
    now: Date,
    matches: (signatures: readonly Buffer[], content: Buffer) => boolean,
    length?: number,
  ): Finding | 'stale' | undefined {
    const given = this.signaturesIn(view, value);
    if (given === undefined) return missing(this.scheme.field === undefined ? 'header' : 'field');
    const signatures = given
      .slice(0, MAX_SIGNATURES)
      .map((text) => decode(text, this.encoding))
      .filter((bytes) => bytes !== undefined && (length === undefined || bytes.length === length));
    if (signatures.length === 0) return malformed();
    const timestamp = this.timestampIn(view, value);
    if (this.isTimed && timestamp === undefined) return missing('timestamp');
    const time = timestamp === undefined ? undefined : readStamp(timestamp, this.unit);
    if (this.isTimed && time === undefined) return malformed('timestamp');
    const id = this.scheme.id && view.header(this.scheme.id.header);
    if (this.scheme.id && !id) return missing();
    const signed: Signed = { timestamp: timestamp ?? '', id: id ?? '', value: () => value };
    if (!matches(signatures as readonly Buffer[], this.template.bytes(view, signed))) return mismatch();
    if (!this.coversTime(view)) return mismatch('timestamp');
    if (!this.hashFits(view)) return mismatch('bodyHash');
    return time === undefined || isFresh(time, now, this.scheme.timestamp?.tolerance) ? undefined : 'stale';
  }

  private signaturesIn(view: RequestView, value: Json): readonly string[] | undefined {
    const { header, field, list, prefix = '' } = this.scheme;
    const text = header === undefined ? textOfValue(look(field!, value)) : view.header(header);
    if (text === undefined || text === '') return undefined;
    if (list) return entriesOf(text, list).flatMap(([name, entry]) => (name === list.signature ? [entry] : []));
    const begins = text.slice(0, prefix.length).toLowerCase() === prefix.toLowerCase();
    return begins ? [text.slice(prefix.length).trim()] : [];
  }

  private timestampIn(view: RequestView, value: Json): string | undefined {
    const { header, list, timestamp } = this.scheme;
    const text =
      timestamp?.header !== undefined
        ? view.header(timestamp.header)
        : timestamp?.field !== undefined
          ? textOfValue(look(timestamp.field, value))
          : list?.timestamp === undefined
            ? undefined
            : entriesOf(view.header(header!) ?? '', list).find(([name]) => name === list.timestamp)?.[1];
    return text === undefined || text === '' ? undefined : text;
  }

  /** Where the sender says which headers it has signed, the time must be among them. */
  private coversTime(view: RequestView): boolean {
    const name = this.scheme.timestamp?.header?.toLowerCase();
    if (name === undefined || this.template.names.has('timestamp') || !this.template.names.has('headers')) return true;
    const list = /\{headers:([^}]+)\}/.exec(this.scheme.signed ?? '')![1]!;
    return (view.header(list) ?? '').split(',').some((one) => one.trim().toLowerCase() === name);
  }

  /** A body that is not signed as it is must be told by its hash. */
  private hashFits(view: RequestView): boolean {
    const { bodyHash } = this.scheme;
    if (!bodyHash) return true;
    const { rawBody, contentType } = view.request;
    const [place, name] = bodyHash.from.split(/:(.*)/s) as [string, string];
    const given = place === 'query' ? view.parameters(name) : [view.header(name)].filter((one) => one !== undefined);
    if (given.length === 0) {
      const { names } = this.template;
      return (
        rawBody.length === 0 ||
        names.has('body') ||
        (names.has('form') && contentType === 'application/x-www-form-urlencoded')
      );
    }
    const claimed = given.length === 1 ? decode(given[0]!, bodyHash.encoding ?? 'hex') : undefined;
    return claimed !== undefined && timingSafeEqual(claimed, digestOf(rawBody, bodyHash.algorithm ?? 'sha256'));
  }

  /** Puts a signature of these bytes where it belongs, with the time of now. */
  sign(view: RequestView, values: Values, now: Date, make: (content: Buffer) => Buffer): SignedParts {
    const { scheme } = this;
    const stamp = this.isTimed ? writeStamp(now, this.unit) : '';
    const headers: Record<string, string> = {};
    if (scheme.timestamp?.header !== undefined) headers[scheme.timestamp.header.toLowerCase()] = stamp;
    const id = scheme.id && (view.header(scheme.id.header) ?? 'msg_1');
    if (scheme.id) headers[scheme.id.header.toLowerCase()] = id!;
    const { field } = scheme.timestamp ?? {};
    const edit = withField(view, values);
    // A time in the body stays a number where it was one.
    if (field !== undefined) edit.set(field, (before) => (typeof before === 'number' ? Number(stamp) : stamp));
    let target = view.request.target;
    let current = edit.view({ headers, ...(target !== undefined && { target }) });
    if (scheme.bodyHash?.from.startsWith('query:') && this.needsHash(current)) {
      const name = scheme.bodyHash.from.slice('query:'.length);
      const hash = digestOf(current.request.rawBody, scheme.bodyHash.algorithm ?? 'sha256').toString(
        scheme.bodyHash.encoding ?? 'hex',
      );
      const url = new URL(target ?? '/', 'http://localhost');
      url.searchParams.set(name, hash);
      target = url.pathname + url.search;
      current = edit.view({ headers, target });
    }
    const signatureOf = (value: Json): string =>
      make(this.template.bytes(current, { timestamp: stamp, id: id ?? '', value: () => value })).toString(
        this.encoding,
      );
    if (scheme.field !== undefined) {
      const prefix = scheme.prefix ?? '';
      edit.set(scheme.field, (_, value) => prefix + signatureOf(value));
      return { headers, rawBody: edit.bytes(), ...(target !== undefined && { target }) };
    }
    const signature = signatureOf(edit.values()[0] ?? null);
    headers[scheme.header!.toLowerCase()] = scheme.list
      ? writeList(scheme.list, signature, this.isTimed && scheme.list.timestamp !== undefined ? stamp : undefined)
      : (scheme.prefix ?? '') + signature;
    return {
      headers,
      ...(field !== undefined && { rawBody: current.request.rawBody }),
      ...(target !== undefined && { target }),
    };
  }

  private needsHash(view: RequestView): boolean {
    return view.request.contentType !== 'application/x-www-form-urlencoded' && view.request.rawBody.length > 0;
  }
}
