import type { JsonObject } from '#libs/kernel/src/json.js';

/** Lifts `data` of one version of a type to the next. */
type Upcaster = (data: JsonObject) => JsonObject;

/** By `type@version`: the step from that version to the next. Released events are never edited, only lifted when read. */
const upcasters: Readonly<Record<string, Upcaster>> = {
  // Rules that did not match were among the decisions, in full; they still may be.
  'rule.evaluated@1': (data) => data,
};

/** `data` as the newest version of its type has it. */
export function upcast(type: string, version: number, data: JsonObject): JsonObject {
  let current = data;
  for (let v = version; ; v++) {
    const step = upcasters[`${type}@${v}`];
    if (!step) return current;
    current = step(current);
  }
}
