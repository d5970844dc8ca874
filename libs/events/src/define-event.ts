import type { Static, TObject } from '@sinclair/typebox';

import type { JsonObject } from '#libs/kernel/src/json.js';

/**
 * One event type: its JSON Schema (from which the TypeScript type of `data` follows), an example that satisfies it and
 * whether it is a system type, which the pattern `*` leaves out.
 */
export interface EventDefinition<Data extends TObject = TObject> {
  readonly description: string;
  /** System types tell about the engine itself. `*` does not include them: name them to get them. */
  readonly system?: true;
  /** Version of `data` that is written now; older ones are lifted by an upcaster when read. */
  readonly version?: number;
  /** Fields of `data` that nobody outside is shown: not in answers, deliveries or expressions. */
  readonly hidden?: readonly string[];
  /** The same, but no secrets: an export of the log has them. */
  readonly internal?: readonly string[];
  /** `data` as it is shown outside, where parts of a field must not be. */
  readonly shown?: (data: JsonObject) => JsonObject;
  readonly data: Data;
  readonly example: Static<Data>;
}

/** Types a definition by its schema; returns it unchanged. */
export const defineEvent = <Data extends TObject>(definition: EventDefinition<Data>): EventDefinition<Data> =>
  definition;
