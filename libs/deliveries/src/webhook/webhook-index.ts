import { typeMatcher } from '#libs/events/src/patterns.js';

/** What the index needs to know of a webhook. */
export interface Indexed {
  readonly orgId: string;
  readonly settings: { readonly events: readonly string[] };
  /** Among all webhooks, by their registration. */
  readonly order: number;
}

/** Those that subscribe with the same pattern, by organisation. */
class Group<W extends Indexed> {
  private readonly byOrg = new Map<string, Set<W>>();

  constructor(readonly matches: (type: string) => boolean) {}

  get isEmpty(): boolean {
    return this.byOrg.size === 0;
  }

  of(orgId: string): Iterable<W> {
    return this.byOrg.get(orgId) ?? [];
  }

  add(webhook: W): void {
    const own = this.byOrg.get(webhook.orgId);
    if (own) own.add(webhook);
    else this.byOrg.set(webhook.orgId, new Set([webhook]));
  }

  remove(webhook: W): void {
    const own = this.byOrg.get(webhook.orgId);
    own?.delete(webhook);
    if (own?.size === 0) this.byOrg.delete(webhook.orgId);
  }
}

/**
 * Webhooks by the patterns that they subscribe with. An event is compared with each different glob once, not with each
 * webhook; types that are named in full are looked up.
 */
export class WebhookIndex<W extends Indexed> {
  private readonly named = new Map<string, Group<W>>();
  private readonly globs = new Map<string, Group<W>>();

  add(webhook: W): void {
    for (const pattern of webhook.settings.events) {
      const groups = this.groupsOf(pattern);
      let group = groups.get(pattern);
      if (!group) groups.set(pattern, (group = new Group(typeMatcher([pattern]))));
      group.add(webhook);
    }
  }

  remove(webhook: W): void {
    for (const pattern of webhook.settings.events) {
      const groups = this.groupsOf(pattern);
      const group = groups.get(pattern);
      group?.remove(webhook);
      if (group?.isEmpty === true) groups.delete(pattern);
    }
  }

  clear(): void {
    this.named.clear();
    this.globs.clear();
  }

  /** Whether a webhook of any organisation subscribes to a type. */
  has(type: string): boolean {
    if (this.named.has(type)) return true;
    for (const { matches } of this.globs.values()) if (matches(type)) return true;
    return false;
  }

  /** Those of one organisation that subscribe to a type, each once, in the order of their registration. */
  of(type: string, orgId: string): readonly W[] {
    const found = new Set<W>(this.named.get(type)?.of(orgId));
    for (const group of this.globs.values())
      if (group.matches(type)) for (const webhook of group.of(orgId)) found.add(webhook);
    return [...found].sort((one, other) => one.order - other.order);
  }

  private groupsOf(pattern: string): Map<string, Group<W>> {
    return pattern.includes('*') ? this.globs : this.named;
  }
}
