import { randomBytes } from 'node:crypto';

import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { Keyring } from '#libs/access/src/secrets/keyring.js';
import { Secrets } from '#libs/access/src/secrets/secrets.js';
import { DEFAULT_ORG } from '#libs/events/src/envelope.js';
import { Clock } from '#libs/kernel/src/clock.js';
import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';
import { timeAfter } from '#libs/kernel/src/time/times.js';

import { type RefusedRequest, RefusedRequests } from './refused-requests.js';

const DAY_MS = 86_400_000;
const INTERVAL_MS = 1_000;
const PURGE_EVERY_MS = 3_600_000;
export const KEPT_OF_EACH = 500;
export const KEPT_DAYS = 7;
/** Days whose keys are looked for when they are destroyed: a server may have been off for a while. */
const DAYS_BACK = 90;

const dayOf = (time: Date): string => time.toISOString().slice(0, 10);
const referenceOf = (day: string): string => `refused-requests/key/${day}`;
const belongsTo = (integrationId: string): readonly string[] => ['refused-request', integrationId];

/**
 * Writes refused requests down once a second: never while a request waits for it. Bodies are encrypted under a key of their
 * day, which is destroyed after seven days: then backups hold nothing of them that can be read.
 */
@Injectable()
export class RefusedStore implements OnApplicationBootstrap, OnApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();
  private purgedAt = 0;
  private readonly keys = new Map<string, Keyring>();

  constructor(
    @Inject(DataSource) private readonly database: DataSource,
    @Inject(Secrets) private readonly secrets: Secrets,
    @Inject(RefusedRequests) private readonly refused: RefusedRequests,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => void this.flush(), INTERVAL_MS).unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.flush();
  }

  /** What cannot be written is lost: these are hints for people, and must not pile up. Never rejects. */
  flush(): Promise<void> {
    this.writing = this.writing.then(async () => {
      try {
        const taken = this.refused.take();
        if (taken.length > 0) await this.write(taken);
        if (this.clock.now().getTime() - this.purgedAt >= PURGE_EVERY_MS) await this.purge();
      } catch {
        // The database is away. Code that needs it reports that.
      }
    });
    return this.writing;
  }

  /** The first bytes of a body, as far as its key is still there. */
  async bodyOf(sealed: Buffer | null, at: Date, integrationId: string): Promise<Buffer | undefined> {
    if (sealed === null) return undefined;
    const reference = referenceOf(dayOf(at));
    const key = (await this.secrets.get([reference])).get(reference);
    if (key === undefined) return undefined;
    const ring = new Keyring([Buffer.from(key, 'base64')]);
    return Buffer.from(ring.open({ keyId: ring.currentId, bytes: sealed }, belongsTo(integrationId)), 'base64');
  }

  private async write(taken: readonly RefusedRequest[]): Promise<void> {
    const bodies: (Buffer | null)[] = [];
    for (const { body, at, integrationId } of taken)
      bodies.push(
        body ? (await this.keyOf(dayOf(at))).seal(body.toString('base64'), belongsTo(integrationId)).bytes : null,
      );
    const of = <K extends keyof RefusedRequest>(name: K) => taken.map((one) => one[name] ?? null);
    // What came before a person was erased is not written after it.
    await this.database.query(
      `insert into views.refused_requests (org_id, integration_id, at, status, code, expected, cause, method, headers, body,
         body_bytes, request_id, left_out)
       select r.org_id, r.integration_id, r.at, r.status, r.code, r.expected, r.cause, r.method, r.headers, r.body,
         r.body_bytes, r.request_id, r.left_out
        from unnest($1::text[], $2::text[], $3::timestamptz[], $4::smallint[], $5::text[], $6::text[], $7::text[],
         $8::text[], $9::jsonb[], $10::bytea[], $11::int[], $12::text[], $13::int[])
         with ordinality as r (org_id, integration_id, at, status, code, expected, cause, method, headers, body, body_bytes,
           request_id, left_out, place)
       where not exists (select from views.refused_erasures e where e.org_id = r.org_id and e.at >= r.at)
       order by r.place`,
      [
        of('orgId'),
        of('integrationId'),
        taken.map(({ at }) => at.toISOString()),
        of('status'),
        of('code'),
        of('expected'),
        of('cause'),
        of('method'),
        taken.map(({ headers }) => stringifyJson(headers)),
        bodies,
        of('bodyBytes'),
        of('requestId'),
        of('leftOut'),
      ],
    );
    await this.database.query(
      `delete from views.refused_requests r using unnest($1::text[]) touched (id)
        where r.integration_id = touched.id and r.id <= (
          select k.id from views.refused_requests k where k.integration_id = touched.id
           order by k.id desc offset $2 limit 1)`,
      [[...new Set(of('integrationId'))], KEPT_OF_EACH],
    );
  }

  private async purge(): Promise<void> {
    const now = this.clock.now();
    const oldest = timeAfter(now, -KEPT_DAYS * DAY_MS);
    await this.database.query('delete from views.refused_requests where at < $1', [oldest.toISOString()]);
    const days = Array.from({ length: DAYS_BACK }, (_, n) => dayOf(timeAfter(oldest, -(n + 1) * DAY_MS)));
    await this.secrets.remove(days.map(referenceOf));
    for (const day of days) this.keys.delete(day);
    this.purgedAt = now.getTime();
  }

  private async keyOf(day: string): Promise<Keyring> {
    const known = this.keys.get(day);
    if (known) return known;
    const key = await this.secrets.put(DEFAULT_ORG, referenceOf(day), randomBytes(32).toString('base64'));
    const ring = new Keyring([Buffer.from(key, 'base64')]);
    this.keys.set(day, ring);
    return ring;
  }
}
