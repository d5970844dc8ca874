import { referencesIn, withPlainSecrets } from '#libs/access/src/secrets/config-secrets.js';
import type { Secrets } from '#libs/access/src/secrets/secrets.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';
import type { JsonObject } from '#libs/kernel/src/json.js';

/** An integration as the way to its service: which one, and with which credentials. */
export interface Connection {
  readonly id: string;
  readonly orgId: string;
  readonly provider: string;
  readonly name: string;
  readonly active: boolean;
  /** Secret values are references still: see {@link ConnectionTable.open}. */
  readonly config: JsonObject;
}

/** All integrations by id and name, for those who call the service behind one. */
export class ConnectionTable implements Table {
  readonly name = followers.connections;
  readonly reads = [
    'integration.created',
    'integration.updated',
    'integration.enabled',
    'integration.disabled',
    'integration.deleted',
  ] as const;
  incomplete = false;
  private readonly byId = new Map<string, Connection>();

  constructor(private readonly secrets: Secrets) {}

  clear(): void {
    this.byId.clear();
  }

  apply(event: RecordedEvent): void {
    if (!event.is(...this.reads)) return;
    const { integrationId: id } = event.data;
    // The stream says who wrote.
    if (event.stream !== streams.integration(id)) return;
    const known = this.byId.get(id);
    if (event.is('integration.created')) {
      const { provider, name, config } = event.data;
      this.byId.set(id, {
        id,
        orgId: event.metadata.orgId,
        provider,
        name,
        active: true,
        config: config,
      });
    } else if (event.is('integration.deleted')) this.byId.delete(id);
    else if (known && event.is('integration.updated'))
      this.byId.set(id, { ...known, name: event.data.name, config: event.data.config });
    else if (known) this.byId.set(id, { ...known, active: event.is('integration.enabled') });
  }

  /** By id or, where one alone has it, by name. */
  find(orgId: string, idOrName: string): Connection | undefined {
    const known = this.byId.get(idOrName);
    if (known) return known.orgId === orgId ? known : undefined;
    const named = [...this.byId.values()].filter((one) => one.orgId === orgId && one.name === idOrName);
    return named.length === 1 ? named[0] : undefined;
  }

  /** Of one organisation. */
  list(orgId: string): readonly Connection[] {
    return [...this.byId.values()].filter((one) => one.orgId === orgId);
  }

  /** The config with secret values in plain text, and these values. */
  async open({ config }: Connection): Promise<{ readonly config: JsonObject; readonly secrets: readonly string[] }> {
    const references = referencesIn(config);
    if (references.length === 0) return { config, secrets: [] };
    const plain = await this.secrets.get(references);
    return { config: withPlainSecrets(config, plain), secrets: [...plain.values()] };
  }
}
