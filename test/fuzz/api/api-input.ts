import type { Random } from '../random.js';

/** As much of an OpenAPI document as requests are made from. */
export interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
}

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema?: Schema }[];
  readonly requestBody?: { readonly content?: Readonly<Record<string, { readonly schema?: Schema }>> };
}

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly example?: unknown;
  readonly examples?: readonly unknown[];
  readonly default?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly format?: string;
}

export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text, or what is not. */
  readonly body?: string;
}

/** Ids that exist, by the name that stands before them in a path: a request that finds nothing ends early. */
export type KnownIds = Readonly<Record<string, string>>;

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
const HOSTILE_TEXTS = [
  '',
  '\0',
  'a\0b',
  '\ud800',
  '\udfff\ud800',
  '\ufffe\uffff',
  '../../etc/passwd',
  '__proto__',
  'constructor',
  "' or 1=1 --",
  '${{ data.payload }}',
  '${{',
  '`',
  'a'.repeat(300),
  'a'.repeat(20_000),
  '\u202e\u0007\n\r\t',
  '😀'.repeat(50),
  '*',
  '*.*',
  '[[[[',
  '%00',
  '%',
  'http://[::1',
  'https://a\0.example/',
  'https://exa mple.com/\ud800',
  '9999-12-31T23:59:59Z',
  '+275760-09-13T00:00:00Z',
  '0000-00-00T00:00:00Z',
  '-1',
  '1e400',
  '99999999999999999999',
  'NaN',
  '9999999999d',
  '0s',
  'whsec_!!!',
  'WyIwIiwiMSJd',
  'WyJcdTAwMDAiXQ',
  'eyJhIjoxfQ',
  'bnVsbA',
];
const HOSTILE_NUMBERS = [
  '0',
  '-0',
  '-1',
  '1.5',
  '1e400',
  '-1e400',
  '7615917337495251231',
  '1e-400',
  '2147483648',
  '9007199254740993',
  '1E2',
  '1e99999',
];
const DEEP = 10_000;

/** Text of JSON: numbers are written as they are, which no value of JavaScript can say. */
function hostileJson(random: Random): string {
  return random.pick([
    () => JSON.stringify(random.pick(HOSTILE_TEXTS)),
    () => JSON.stringify(random.pick(HOSTILE_TEXTS)),
    () => random.pick(HOSTILE_NUMBERS),
    () => 'null',
    () => 'true',
    () => '{}',
    () => '[]',
    () =>
      `[${Array.from({ length: random.below(50) }, () => JSON.stringify(random.pick(HOSTILE_TEXTS.slice(0, 12)))).join(',')}]`,
    () => `{${JSON.stringify(random.pick(HOSTILE_TEXTS))}:${random.pick(HOSTILE_NUMBERS)}}`,
    () => '['.repeat(70) + ']'.repeat(70),
    () => '{"a":'.repeat(60) + '1' + '}'.repeat(60),
    () => (random.once(10) ? '['.repeat(DEEP) + ']'.repeat(DEEP) : '[[]]'),
  ])();
}

export class ApiInputs {
  private readonly operations: readonly {
    readonly method: string;
    readonly path: string;
    readonly operation: Operation;
  }[];

  constructor(
    private readonly document: ApiDocument,
    private readonly known: KnownIds,
    /** Bodies that are accepted, by method and path as the document has it: these are changed in a few places. */
    private readonly accepted: Readonly<Record<string, readonly unknown[]>>,
  ) {
    this.operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([method]) => METHODS.includes(method))
        .map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
    );
  }

  get count(): number {
    return this.operations.length;
  }

  /** The operations come in turn, each with other values every time. */
  request(nth: number, random: Random): ApiRequest {
    const { method, path, operation } = this.operations[nth % this.operations.length]!;
    const filled = path.replaceAll(
      /([^/{}]+)\/\{[^}]+\}/g,
      (_, kind: string) => `${kind}/${this.segment(kind, method, random)}`,
    );
    const query = (operation.parameters ?? [])
      .filter((parameter) => parameter.in === 'query' && random.once(2))
      .flatMap(({ name, schema }) =>
        Array.from(
          { length: random.once(8) ? 2 : 1 },
          () => `${encoded(name)}=${encoded(this.textOf(schema, random))}`,
        ),
      );
    if (random.once(20)) query.push(`${encoded(random.pick(HOSTILE_TEXTS))}=${encoded(random.pick(HOSTILE_TEXTS))}`);
    const [content] = Object.values(operation.requestBody?.content ?? {});
    const hasBody = content !== undefined || (method !== 'GET' && random.once(4));
    const types = [...Array<string>(12).fill('application/json'), 'text/plain', 'application/yaml', ''];
    const type = random.pick(types);
    return {
      method,
      path: query.length === 0 ? filled : `${filled}?${query.join('&')}`,
      headers: {
        ...(hasBody && type !== '' && { 'content-type': type }),
        ...(random.once(10) && { 'idempotency-key': random.pick(['a', 'b', 'k'.repeat(300), '\xff', ' ']) }),
        ...(random.once(10) && { 'if-match': random.pick(['"1"', '*', '"x', 'W/"1"', '"99999999999999999999"']) }),
        ...(random.once(10) && {
          accept: random.pick(['application/x-ndjson', 'text/yaml', 'application/yaml', '*/*', 'nonsense']),
        }),
        ...(random.once(20) && { 'last-event-id': random.pick(['x', '99999999999999999999', '-1']) }),
      },
      ...(hasBody && { body: this.body(`${method} ${path}`, content?.schema ?? {}, random) }),
    };
  }

  private segment(kind: string, method: string, random: Random): string {
    const known = this.known[kind];
    // What is deleted is gone for the requests that follow.
    if (known !== undefined && (method === 'DELETE' ? random.once(50) : !random.once(4))) return encoded(known);
    return encoded(random.pick(random.once(2) ? Object.values(this.known) : HOSTILE_TEXTS)) || 'x';
  }

  private textOf(schema: Schema | undefined, random: Random): string {
    if (random.once(3)) return random.pick([...HOSTILE_TEXTS, ...HOSTILE_NUMBERS]);
    if (random.once(3)) return random.pick(Object.values(this.known));
    const text = this.value(schema ?? {}, random, 0);
    return text.startsWith('"') ? (JSON.parse(text) as string) : text;
  }

  private body(operation: string, schema: Schema, random: Random): string {
    if (random.once(30))
      return random.pick(['', '{', '[', 'null', '"x"', '\ufeff{}', '{"a":1,"a":2}', '{"__proto__":{}}', '\0']);
    const accepted = this.accepted[operation];
    if (accepted && !random.once(4)) return this.changed(random.pick(accepted), random);
    const text = this.value(schema, random, 0);
    // As it should be but for one place, or with surprises everywhere.
    return random.once(3) ? text.replace(/"[^"\\]*"(?=[,}\]])/, () => hostileJson(random)) : text;
  }

  /** Each value with a small chance of being another one; often none is. */
  private changed(value: unknown, random: Random): string {
    if (random.once(15)) return hostileJson(random);
    if (typeof value === 'string') {
      if (random.once(12)) return JSON.stringify(value + random.pick(HOSTILE_TEXTS));
      return JSON.stringify(value.replaceAll('{n}', String(random.below(2_000))));
    }
    if (Array.isArray(value)) return `[${value.map((item) => this.changed(item, random)).join(',')}]`;
    if (typeof value !== 'object' || value === null) return JSON.stringify(value);
    const fields = Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}:${this.changed(one, random)}`);
    return `{${fields.join(',')}}`;
  }

  /** JSON text of a value that the schema wants, but for surprises. */
  private value(given: Schema, random: Random, depth: number): string {
    const schema = this.resolved(given);
    if (depth > 8 || random.once(12)) return hostileJson(random);
    const alternatives = schema.anyOf ?? schema.oneOf;
    if (alternatives && alternatives.length > 0) return this.value(random.pick(alternatives), random, depth + 1);
    if (schema.enum && schema.enum.length > 0) return JSON.stringify(random.pick(schema.enum));
    if (schema.const !== undefined) return JSON.stringify(schema.const);
    const example = schema.example ?? schema.examples?.[0] ?? schema.default;
    if (example !== undefined && !random.once(4)) return JSON.stringify(example);
    const type = Array.isArray(schema.type)
      ? random.pick(schema.type as readonly string[])
      : (schema.type as string | undefined);
    switch (type ?? (schema.properties ? 'object' : undefined)) {
      case 'object': {
        const fields = Object.entries(schema.properties ?? {}).filter(() => !random.once(4));
        const made = fields.map(([name, one]) => `${JSON.stringify(name)}:${this.value(one, random, depth + 1)}`);
        if (random.once(10)) made.push(`${JSON.stringify(random.pick(HOSTILE_TEXTS))}:${hostileJson(random)}`);
        return `{${made.join(',')}}`;
      }
      case 'array':
        return `[${Array.from({ length: random.below(4) }, () => this.value(schema.items ?? {}, random, depth + 1)).join(',')}]`;
      case 'integer':
      case 'number':
        return random.once(3) ? random.pick(HOSTILE_NUMBERS) : String(random.below(1_000));
      case 'boolean':
        return random.once(2) ? 'true' : 'false';
      case 'null':
        return 'null';
      case 'string':
        return JSON.stringify(random.once(3) ? random.pick(HOSTILE_TEXTS) : `t${random.below(1_000_000)}`);
      default:
        return hostileJson(random);
    }
  }

  private resolved(schema: Schema, depth = 0): Schema {
    const name = schema.$ref?.split('/').at(-1);
    const found = name === undefined ? schema : (this.document.components?.schemas?.[name] ?? {});
    const { allOf } = found;
    if (!allOf || depth > 8) return found;
    const parts = allOf.map((one) => this.resolved(one, depth + 1));
    return {
      ...found,
      type: 'object',
      properties: Object.assign({}, ...parts.map(({ properties }) => properties ?? {})) as Record<string, Schema>,
    };
  }
}

/** Percent-encoded, also where a text holds half of a surrogate pair: then as the bytes that it would be. */
function encoded(text: string): string {
  return [...text]
    .map((character) => {
      try {
        return encodeURIComponent(character);
      } catch {
        return '%ED%A0%80';
      }
    })
    .join('');
}
