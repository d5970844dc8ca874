import type { DataSource } from 'typeorm';

import type { ReplayAnswer } from '#libs/events/src/shapes/audit/replay-shape.js';
import type { AskedPage, Page } from '#libs/kernel/src/paging.js';
import { readPage } from '#libs/persistence/src/paging.js';

import type { ReplayRows, SavedProgress } from './replay-rows.adapter.js';
import { notFound } from './replay.js';
import { ReplayView } from './replay.view.js';

/** Replays as they are shown. */
export class Replays {
  constructor(
    private readonly database: DataSource,
    private readonly rows: ReplayRows,
  ) {}

  async list(orgId: string, page: AskedPage): Promise<Page<ReplayAnswer>> {
    const query = this.database
      .getRepository(ReplayView)
      .createQueryBuilder('replay')
      .where('replay.orgId = :orgId', { orgId });
    const { rows, nextCursor } = await readPage(query, page, { requestedAt: 'time', id: 'text' }, 'DESC');
    const saved = await this.rows.load(rows.map(({ id }) => id));
    return { data: rows.map((row) => answerOf(row, saved.get(row.id))), nextCursor };
  }

  /** @throws Rejected `replay.not_found` */
  async get(orgId: string, id: string): Promise<ReplayAnswer> {
    const row = await this.database.getRepository(ReplayView).findOneBy({ id, orgId });
    if (!row) throw notFound(id);
    return answerOf(row, (await this.rows.load([id])).get(id));
  }
}

export const hasEnded = ({ status }: Pick<ReplayAnswer, 'status'>): boolean =>
  status !== 'waiting' && status !== 'running';

function answerOf(row: ReplayView, saved: SavedProgress | undefined): ReplayAnswer {
  const { id, request, upTo, status, requestedBy, requestedAt, startedAt, endedAt, error } = row;
  return {
    id,
    mode: request.mode,
    request,
    upTo,
    status,
    ...(saved?.position !== undefined && { position: String(saved.position) }),
    percent: status === 'finished' ? 100 : percentOf(saved),
    looked: saved?.looked ?? 0,
    selected: saved?.selected ?? 0,
    results: saved?.results ?? 0,
    differences: saved?.differences ?? 0,
    ...(saved && { total: saved.total }),
    requestedBy,
    requestedAt: requestedAt.toISOString(),
    ...(startedAt && { startedAt: startedAt.toISOString() }),
    ...(endedAt && { endedAt: endedAt.toISOString() }),
    ...(error && { error }),
  };
}

/** By the positions, which say no more than about how far it is. */
function percentOf(saved: SavedProgress | undefined): number {
  if (saved?.position === undefined) return 0;
  const { first, last, position } = saved;
  const share = Number(position - first + 1n) / Math.max(1, Number(last - first + 1n));
  return Math.floor(Math.min(1, Math.max(0, share)) * 1_000) / 10;
}
