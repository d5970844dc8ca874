import { type Committed, execute } from '#libs/event-store/src/command-handlers.js';
import type { EventStore } from '#libs/event-store/src/event-store.js';
import type { Progress } from '#libs/event-store/src/subscriber.js';
import type { Clock } from '#libs/kernel/src/clock.js';
import { derivedId } from '#libs/kernel/src/ids.js';

import { EstablishOrganisation, establish, organisation } from './organisation.js';
import { DEFAULT_ORG, ENGINE } from '#libs/events/src/envelope.js';
import {
  InstallBootstrapToken,
  RevokeToken,
  hashOf,
  installBootstrapToken,
  newTokenText,
  revokeToken,
  token,
} from '../token/token.js';
import type { TokenTable } from '../token/token.table.js';

const operator = { orgId: DEFAULT_ORG, actor: ENGINE } as const;
/** The stream of the generated one: of two processes that start at once, one opens it and prints its token. */
const GENERATED = derivedId('tok', 'bootstrap', 'generated');

/**
 * Makes sure that the default organisation exists and that somebody can get in. A `configured` token becomes the one
 * bootstrap token and revokes the others, unless a person has revoked it; without one, a token is generated at the first
 * start ever.
 * @returns `generated` is the text of a token that was generated just now: to be shown once, it is not kept. `revoked`:
 * the configured token is not valid, since a person revoked it.
 */
export async function bootstrap(
  store: EventStore,
  clock: Clock,
  tokens: TokenTable,
  progress: Progress,
  configured: string | undefined,
): Promise<{ readonly generated?: string; readonly revoked?: true }> {
  await execute(store, clock, organisation, establish, new EstablishOrganisation(DEFAULT_ORG, operator, 'default'));
  const settled = ({ position }: Committed) => progress.whenProcessed(tokens.name, position);

  if (configured === undefined) {
    if (tokens.bootstrapTokens().length > 0) return {};
    const text = newTokenText();
    const install = new InstallBootstrapToken(GENERATED, operator, hashOf(text), 'generated');
    const committed = await execute(store, clock, token, installBootstrapToken, install);
    // Nothing appended: another process is generating one, or it was revoked on purpose.
    if (committed.position === 0n) return {};
    await settled(committed);
    return { generated: text };
  }

  const hash = hashOf(configured);
  if (!tokens.bootstrapTokens().some((known) => known.hash === hash)) {
    const install = new InstallBootstrapToken(derivedId('tok', 'bootstrap', hash), operator, hash, 'configured');
    const committed = await execute(store, clock, token, installBootstrapToken, install);
    await settled(committed);
    // The others stay: somebody must be able to get in.
    if (!tokens.bootstrapTokens().some((known) => known.hash === hash)) return { revoked: true };
  }
  for (const known of tokens.bootstrapTokens())
    if (known.hash !== hash)
      await settled(await execute(store, clock, token, revokeToken, new RevokeToken(known.id, operator)));
  return {};
}
