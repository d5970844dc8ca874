import { pathOf } from '#libs/expressions/src/path.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import type { InboundRequest } from '#libs/plugin-sdk/src/define-provider.js';
import type { Json } from '#libs/plugin-sdk/src/fields.js';

import type { Values } from '../proofs/proof.js';
import { type RequestView } from './views.js';

/** A body that is signed again: schemes whose time or signature stands inside change it. */
export interface BodyEdit {
  values(): readonly Json[];
  /** Sets a field of each value: `change` is given what was there and the value around it. */
  set(field: string, change: (before: unknown, value: Json) => Json): void;
  bytes(): Buffer;
  view(change: Partial<Pick<InboundRequest, 'target'>> & { headers: Readonly<Record<string, string>> }): RequestView;
}

export function withField(view: RequestView, values: Values): BodyEdit {
  let all: readonly Json[] | undefined;
  let isChanged = false;
  const held = (): readonly Json[] => (all ??= values());
  const bytes = (): Buffer => (isChanged ? Buffer.from(stringifyJson(view.value)) : view.request.rawBody);
  return {
    values: held,
    bytes,
    set(field, change) {
      const path = pathOf(field);
      if (!path) throw new TypeError(`"${field}" is not a plain path, so it cannot be set. Sign the request by hand.`);
      for (const value of held()) {
        const [owner, key] = ownerOf(value, path);
        if (!owner) continue;
        owner[key] = change(owner[key], value);
        isChanged = true;
      }
    },
    view: ({ headers, ...rest }) => {
      const request = { ...view.request, ...rest, rawBody: bytes(), headers: { ...view.request.headers, ...headers } };
      return view.with(request);
    },
  };
}

function ownerOf(value: Json, path: readonly (string | number)[]): [Record<string, Json> | undefined, string] {
  let at = value as Record<string, Json> | undefined;
  for (const key of path.slice(0, -1)) at = at?.[key] as Record<string, Json> | undefined;
  return [typeof at === 'object' && at !== null ? at : undefined, String(path.at(-1))];
}
