import { ENGINE } from '#libs/events/src/envelope.js';
import { globMatcher } from '#libs/events/src/patterns.js';
import { suggestion } from '#libs/kernel/src/text/nearest.js';

/**
 * What is suspicious in a glob over the sources of events, if anything. Sources of integrations are lower case. Programs may
 * publish events with any source, so a name that resembles no known one has no warning.
 * @param known the sources of integrations: {@link Plugins.sources}.
 */
export function unlikelySource(glob: string, known: readonly string[]): string | undefined {
  const all = [...known, ENGINE, 'api'];
  if (all.some(globMatcher(glob))) return undefined;
  const near = suggestion(glob, all);
  if (near === '' && glob === glob.toLowerCase()) return undefined;
  return `No integration has the source "${glob}"; upper and lower case differ. ${near || '`millrace provider ls` lists the sources. '}Events that programs publish with this source match.`;
}
