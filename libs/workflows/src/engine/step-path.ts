/** A path in parts: `retries[2].redeliver` is the step `redeliver` in item 2 of the loop `retries`. */
export type StepPath = readonly { readonly id: string; readonly index: number | undefined }[];

/** Paths come from our own events, where ids have letters, digits and _ only. */
export const parsePath = (path: string): StepPath =>
  path.split('.').map((part) => {
    const bracket = part.indexOf('[');
    return bracket < 0
      ? { id: part, index: undefined }
      : { id: part.slice(0, bracket), index: Number(part.slice(bracket + 1, -1)) };
  });

/** `prefix` is the path of an item, `retries[2]`, or empty. */
export const pathOf = (prefix: string, id: string): string => (prefix === '' ? id : `${prefix}.${id}`);
export const itemPath = (loop: string, index: number): string => `${loop}[${index}]`;
