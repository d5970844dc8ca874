import { compile, type CompiledExpression } from '#libs/expressions/src/compile.js';
import { type Json, keyText } from '#libs/kernel/src/json.js';

/**
 * An integration's own delivery id: a JMESPath expression over the body, over each line of an NDJSON body and over each
 * element of a batch. What it gives null, false or nothing for has none.
 */
export class DedupeKey {
  private readonly expression: CompiledExpression;

  /** @throws Rejected (`expression.…`) if it is no expression. */
  constructor(source: string) {
    this.expression = compile(source);
  }

  of(body: Json): string | undefined {
    let value: Json;
    try {
      value = this.expression.evaluate(body);
    } catch {
      // Too costly for this body: then it has no key, and is recorded as new rather than lost.
      return undefined;
    }
    if (value === null || value === false || value === '') return undefined;
    return keyText(value);
  }
}
