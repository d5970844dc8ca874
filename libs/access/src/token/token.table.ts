import { typesOf } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { Table } from '#libs/event-store/src/subscriber.js';
import { followers } from '#libs/events/src/followers.js';
import { streams } from '#libs/events/src/streams.js';

import type { Role } from '../caller.js';
import { hashOf, token, tokenSettings } from './token.js';

/** What is known of a token: all but its text. */
export interface KnownToken {
  readonly id: string;
  readonly orgId: string;
  readonly name: string;
  readonly hash: string;
  readonly roles: readonly Role[];
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly expiresAt: Date | undefined;
  readonly bootstrap: boolean;
}

/** All valid tokens, in memory: a request is authenticated without asking the database. */
export class TokenTable implements Table {
  readonly name = followers.tokens;
  readonly reads = typesOf(token);
  incomplete = false;
  private readonly byId = new Map<string, KnownToken>();
  private readonly byHash = new Map<string, KnownToken>();
  /** Of revoked tokens too: what they did is still shown. */
  private readonly names = new Map<string, { readonly orgId: string; readonly name: string }>();

  clear(): void {
    this.byId.clear();
    this.byHash.clear();
    this.names.clear();
  }

  apply(event: RecordedEvent): void {
    if (event.is('token.created')) {
      const { tokenId, name, hash, roles, expiresAt, bootstrap } = event.data;
      this.forget(tokenId);
      const known: KnownToken = {
        id: tokenId,
        orgId: event.metadata.orgId,
        name,
        hash,
        roles,
        createdAt: new Date(event.metadata.timestamp),
        createdBy: event.metadata.actor,
        expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt),
        bootstrap: bootstrap === true,
      };
      this.byId.set(tokenId, known);
      this.names.set(tokenId, { orgId: known.orgId, name });
      this.byHash.set(hash, known);
    } else if (event.is('token.updated')) {
      const known = this.byId.get(event.data.tokenId);
      // The stream says who wrote.
      if (!known || event.stream !== streams.token(known.id)) return;
      this.forget(known.id);
      const changed = { ...known, ...tokenSettings(event.data) };
      this.byId.set(known.id, changed);
      this.names.set(known.id, { orgId: known.orgId, name: changed.name });
      this.byHash.set(known.hash, changed);
    } else if (event.is('token.revoked')) this.forget(event.data.tokenId);
  }

  private forget(id: string): void {
    const known = this.byId.get(id);
    if (!known) return;
    this.byId.delete(id);
    // Another token may have taken the hash over: a bootstrap token that came back under a new id.
    if (this.byHash.get(known.hash) === known) this.byHash.delete(known.hash);
  }

  /**
   * The token with this text, expired or not. What is compared is the hash, so that the time a look-up takes tells
   * nothing about any token's text.
   */
  find(text: string): KnownToken | undefined {
    return this.byHash.get(hashOf(text));
  }

  get(orgId: string, id: string): KnownToken | undefined {
    const known = this.byId.get(id);
    return known?.orgId === orgId ? known : undefined;
  }

  /** Name of the token that an actor stands for, also after it was revoked; `undefined` for other actors. */
  nameOf(orgId: string, actor: string): string | undefined {
    const known = actor.startsWith('token/') ? this.names.get(actor.slice('token/'.length)) : undefined;
    return known?.orgId === orgId ? known.name : undefined;
  }

  /** Who could still get in as admin without this token. */
  otherAdmins({ id, orgId }: KnownToken, now: Date): readonly KnownToken[] {
    return this.list(orgId).filter(
      (other) =>
        other.id !== id && other.roles.includes('admin') && (other.expiresAt === undefined || other.expiresAt > now),
    );
  }

  /** Of one organisation, oldest first. */
  list(orgId: string): readonly KnownToken[] {
    return [...this.byId.values()].filter((known) => known.orgId === orgId).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Valid bootstrap tokens: one, unless the operator is just replacing it. */
  bootstrapTokens(): readonly KnownToken[] {
    return [...this.byId.values()].filter((known) => known.bootstrap);
  }
}
