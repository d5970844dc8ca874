import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';

import { parseJson, rounded, stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { BoundedMap } from '#libs/kernel/src/bounded-map.js';
import { messageOf } from '#libs/kernel/src/errors.js';

const compiled = new BoundedMap<string, ValidateFunction>(200);

/** @throws Error where it is no JSON Schema. */
export function schemaCheck(schema: object): ValidateFunction {
  const key = stringifyJson(schema);
  const known = compiled.get(key);
  if (known) return known;
  const ajv = new Ajv({ strict: false, allErrors: false });
  (addFormats as unknown as (to: Ajv) => void)(ajv);
  const validate = ajv.compile(schema);
  compiled.set(key, validate);
  return validate;
}

/** The output in the text of a model, or what is wrong with it. Without a schema the text is the output. */
export function problemsOf(
  text: string,
  schema: object | undefined,
): { readonly output: unknown; readonly problem?: string } {
  if (!schema) return { output: text };
  let output: unknown;
  try {
    output = parseJson(unfenced(text));
  } catch {
    return { output: null, problem: 'it is not JSON' };
  }
  try {
    const validate = schemaCheck(schema);
    if (validate(rounded(output))) return { output };
    const [error] = validate.errors ?? [];
    return { output: null, problem: `${error?.instancePath || '/'} ${error?.message ?? 'is invalid'}` };
  } catch (error) {
    return { output: null, problem: messageOf(error) };
  }
}

/** Models like to put JSON into a block of Markdown. */
const unfenced = (text: string): string => /^\s*```(?:json)?\s*\n([^]*?)\n```\s*$/.exec(text)?.[1] ?? text;
