/** Does `work` for every item, at most `most` at a time. Ends, also when it fails, only when nothing is under way any more. */
export async function inParallel<T>(
  items: readonly T[],
  most: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < items.length)
      try {
        await work(items[next++]!);
      } catch (error) {
        next = items.length;
        throw error;
      }
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.min(most, items.length) }, lane));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}
