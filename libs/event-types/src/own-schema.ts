import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { RE2JS } from 're2js';

import { type IsOpen, keepCompiled, shapeProblems } from '#libs/events/src/shapes/shape-check.js';
import { type Problem, messageOf } from '#libs/kernel/src/errors.js';
import { isObject } from '#libs/kernel/src/json.js';
import { rounded, stringifyJson } from '#libs/kernel/src/text/exact-json.js';

export type Schema = Readonly<Record<string, unknown>>;

const MAX_BYTES = 64 * 1024;
const MAX_DEPTH = 32;
const MAX_KEPT = 20;

/** Patterns come from people: they run in linear time. ajv tells them apart by their text. */
const linear = Object.assign(
  (pattern: string) => {
    const compiled = RE2JS.compile(pattern);
    return { test: (text: string) => compiled.matcher(text).find(), toString: () => `/${pattern}/` };
  },
  { code: 'linear' },
);

function engine(): Ajv2020 {
  // One for each schema: those of two organisations may have one `$id`.
  const ajv = new Ajv2020({ strict: false, allErrors: true, verbose: true, logger: false, code: { regExp: linear } });
  (addFormats as unknown as (to: Ajv2020) => void)(ajv);
  return ajv;
}

/** What is wrong with a schema, or with the example that must fit it; pointers are `/schema` and `/example`. */
export function schemaProblems(schema: Schema, example: unknown): readonly Problem[] {
  const at = (detail: string): readonly Problem[] => [{ pointer: '/schema', detail }];
  if (Buffer.byteLength(stringifyJson(schema)) > MAX_BYTES) return at(`Must be at most ${MAX_BYTES / 1024} KiB.`);
  if (isTooDeep(schema)) return at(`Must be nested at most ${MAX_DEPTH} levels deep.`);
  if (schema['type'] !== 'object') return [{ pointer: '/schema/type', detail: 'Must be "object".' }];
  const ajv = engine();
  if (!ajv.validateSchema(schema))
    return (ajv.errors ?? []).slice(0, MAX_KEPT).map(({ instancePath, message = 'is invalid' }) => ({
      pointer: `/schema${instancePath}`,
      detail: `Must be a JSON Schema (2020-12): ${message}.`,
    }));
  try {
    compiled(schema, ajv);
  } catch (error) {
    return at(`Must be a JSON Schema (2020-12) without references to other documents: ${messageOf(error)}.`);
  }
  return dataProblems(schema, example, '/example');
}

/** Whether data can be checked against it. */
export function isSchema(schema: Schema): boolean {
  try {
    return schemaProblems(schema, {}).every(({ pointer }) => pointer.startsWith('/example'));
  } catch {
    return false;
  }
}

/** What must change in `data` so that it fits. @param isOpen tells values that are not known yet, such as templates. */
export function dataProblems(schema: Schema, data: unknown, pointer = '/data', isOpen?: IsOpen): readonly Problem[] {
  compiled(schema);
  return shapeProblems(schema as never, rounded(data), { prefix: 'event', pointer, ...(isOpen && { isOpen }) })
    .slice(0, MAX_KEPT)
    .map(({ pointer: at, detail, code }) => ({ pointer: at, detail, code }));
}

const compiled = (schema: Schema, ajv?: Ajv2020): void =>
  keepCompiled(schema as never, () => (ajv ?? engine()).compile(schema));

function isTooDeep(value: unknown, depth = 0): boolean {
  if (!isObject(value) && !Array.isArray(value)) return false;
  return depth >= MAX_DEPTH || Object.values(value).some((one) => isTooDeep(one, depth + 1));
}
