import type { Secrets } from '#libs/access/src/secrets/secrets.js';
import { carryOut, type Commands } from '#libs/event-store/src/carry-out.js';
import type { Author } from '#libs/event-store/src/command-handlers.js';
import { followers } from '#libs/events/src/followers.js';
import { crashPoint } from '#libs/kernel/src/crash-point.js';
import { Rejected } from '#libs/kernel/src/errors.js';

import { AdoptSecret, AwaitConfirmation, FinishHandshake } from './handshake.js';
import type { Receiver } from '../integration/integration.table.js';
import { freshName } from '../integration/settings-change.js';

/** What senders change of their integrations when they check the address. All of it is durable when it resolves. */
export class HandshakeChanges {
  constructor(private readonly parts: Commands & { readonly secrets: Secrets }) {}

  /** Keeps a secret that the sender gives away. `false`: the integration has one, and is not open for another. */
  async adopt(receiver: Receiver, secret: string, shown: boolean): Promise<boolean> {
    const reference = `${receiver.id}/secret/${freshName()}`;
    await this.parts.secrets.put(receiver.orgId, reference, secret);
    crashPoint('intake.before-adopt');
    try {
      const command = new AdoptSecret(receiver.id, authorOf(receiver), reference, shown);
      // What the sender signs next must be believed.
      await carryOut(this.parts, command, followers.integrations);
      crashPoint('intake.after-adopt');
      return true;
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      await this.parts.secrets.remove([reference]);
      return false;
    }
  }

  /** Keeps the address at which the owner confirms a subscription. */
  async awaitConfirmation(receiver: Receiver, url: string): Promise<void> {
    await carryOut(this.parts, new AwaitConfirmation(receiver.id, authorOf(receiver), url), followers.integrations);
  }

  /** Nothing of the handshake is shown any more. */
  async finish(receiver: Receiver): Promise<void> {
    await carryOut(this.parts, new FinishHandshake(receiver.id, authorOf(receiver)), followers.integrations);
  }
}

const authorOf = ({ id, orgId }: Receiver): Author => ({ orgId, actor: `integration/${id}` });
