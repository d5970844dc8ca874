import type { SignedLinks } from '#libs/access/src/secrets/signed-links.js';
import type { Role } from '#libs/access/src/caller.js';
import type { EventStore, RecordedEvent } from '#libs/event-store/src/event-store.js';
import { readWhole } from '#libs/event-store/src/reading.js';
import type { DataOf } from '#libs/events/src/catalogue.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected } from '#libs/kernel/src/errors.js';
import { parseJson } from '#libs/kernel/src/text/exact-json.js';
import { isStorable } from '#libs/kernel/src/text/text.js';

import type { SignLink } from '../engine/run-decision.js';
import type { InputSpec, InputSpecs } from '../language/inputs.js';
import type { ApprovalLink } from '../steps/kind/step-kind.js';
import { waitsOf } from '../waits/open-waits.js';
import { approvalPage, FIELD, messagePage } from './approval-page.js';
import { type Approver, decideApproval } from './decide-approval.js';

export interface LinkAnswer {
  readonly status: number;
  readonly html: string;
}

/** The part of the table of tokens that links need. */
export interface NamedTokens {
  list(orgId: string): readonly {
    readonly id: string;
    readonly name: string;
    readonly roles: readonly Role[];
    readonly expiresAt: Date | undefined;
  }[];
}

type Asked = DataOf<'approval.requested'>;
type Vote = DataOf<'approval.voted'>;

interface Opened extends ApprovalLink {
  readonly decision: 'approve' | 'reject';
  readonly asked: Asked;
  readonly orgId: string;
  readonly isOpen: boolean;
  readonly votes: readonly Vote[];
}

/** A link as the engine asks for it. */
export const signedLink =
  (links: SignedLinks): SignLink =>
  (decision, { runId, path, requestId, expires, approver }) =>
    links.url({
      d: decision,
      r: runId,
      p: path,
      q: requestId,
      e: expires,
      ...(approver !== undefined && { a: approver }),
    });

/**
 * Links to approvals. Each is for one decision in one step of one run, up to a time, and works once: a person opens a page
 * with a button, and only the button decides.
 */
export class ApprovalLinks {
  constructor(
    private readonly links: SignedLinks,
    private readonly store: EventStore,
    private readonly tokens: NamedTokens,
    private readonly now: () => Date,
  ) {}

  async show(link: string): Promise<LinkAnswer> {
    const opened = await this.open(link);
    if ('status' in opened) return opened;
    return { status: 200, html: pageOf(opened) };
  }

  /** @param fields of the form, as the browser sends them. */
  async decide(link: string, fields: Readonly<Record<string, string>>): Promise<LinkAnswer> {
    const opened = await this.open(link);
    if ('status' in opened) return opened;
    const { decision, runId, path, requestId, asked } = opened;
    if (!Object.values(fields).every(isStorable))
      return { status: 422, html: pageOf(opened, {}, ['Remove control characters.']) };
    const comment = fields['comment']?.trim().slice(0, 2_000) ?? '';
    const form = decision === 'approve' ? valuesOf(asked.form as InputSpecs, fields) : {};
    const vote = { decision, ...(comment !== '' && { comment }), ...(Object.keys(form).length > 0 && { form }) };
    try {
      await decideApproval(this.store, { runId, path, requestId }, this.approverOf(opened)!, vote, this.now);
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      if (error.code === 'approval.bad_form') {
        const problems = error.problems.map(({ pointer, detail }) => `${pointer.split('/').at(-1)}: ${detail}`);
        return { status: 422, html: pageOf(opened, fields, problems) };
      }
      return refused(error.kind === 'forbidden' ? 403 : 409, 'Not recorded', error.message, elsewhere(opened));
    }
    return done(decision);
  }

  /** The approval that a link is for, or the page that says why it does not work. */
  private async open(link: string): Promise<Opened | LinkAnswer> {
    const claims = this.links.read(link);
    const { d: decision, r: runId, p: path, q: requestId, e: expires, a: approver } = claims ?? {};
    if (
      (decision !== 'approve' && decision !== 'reject') ||
      typeof runId !== 'string' ||
      typeof path !== 'string' ||
      typeof expires !== 'number'
    )
      return refused(
        404,
        'This link is invalid',
        'It is incomplete, was changed, or comes from another server. Copy the whole link from the message.',
      );
    const run = (await readWhole(this.store, streams.run(runId))).filter((event) => event.isReadable);
    const request = run.find(
      (event): event is RecordedEvent<'approval.requested'> => event.is('approval.requested') && event.id === requestId,
    );
    const about = { runId, path };
    if (!request) return refused(410, 'Nothing to decide', 'The run is gone.', elsewhere(about));
    const recorded = await readWhole(this.store, streams.approval(request.id));
    const votes = recorded.flatMap((event) => (event.is('approval.voted') ? [event.data] : []));
    const isOpen = !recorded.some(({ type }) => type === 'approval.decided') && waitsOf(run).open.has(request.id);
    const opened: Opened = {
      decision,
      runId,
      path,
      requestId: request.id,
      expires,
      ...(typeof approver === 'string' && { approver }),
      asked: request.data,
      orgId: request.metadata.orgId,
      isOpen,
      votes,
    };
    return this.closed(opened) ?? opened;
  }

  private closed(opened: Opened): LinkAnswer | undefined {
    const who = this.approverOf(opened);
    if (!who)
      return refused(
        403,
        'This link no longer works',
        `The token "${opened.approver}", in whose name it decides, was revoked or has expired. Ask an admin.`,
      );
    const own = opened.votes.find(({ by }) => by === who.actor);
    if (own)
      return refused(
        410,
        'This link was used',
        `The decision was recorded on ${own.at}: ${own.decision === 'approve' ? 'approved' : 'rejected'}. It cannot be changed.`,
      );
    if (!opened.isOpen)
      return refused(410, 'Nothing to decide', 'It was decided, or the run no longer waits for it.', elsewhere(opened));
    if (this.now().getTime() > opened.expires)
      return refused(
        410,
        'This link has expired',
        `It worked until ${new Date(opened.expires).toISOString()}. If the run still waits, decide there.`,
        elsewhere(opened),
      );
    return undefined;
  }

  /** A link decides as the token that it names does: a vote with the token leaves no second vote. */
  private approverOf({ orgId, approver }: Opened): Approver | undefined {
    if (approver === undefined) return { orgId, actor: 'link', roles: [], name: undefined, link: 'anybody' };
    const now = this.now();
    const token = this.tokens
      .list(orgId)
      .find(({ name, expiresAt }) => name === approver && (expiresAt === undefined || expiresAt > now));
    return token && { orgId, actor: `token/${token.id}`, roles: token.roles, name: token.name, link: 'named' };
  }
}

const refused = (status: number, title: string, ...paragraphs: readonly string[]): LinkAnswer => ({
  status,
  html: messagePage(title, ...paragraphs),
});

const elsewhere = ({ runId, path }: { readonly runId: string; readonly path: string }): string =>
  `See the run with: millrace run view ${runId}. If the step "${path}" still waits, decide with: millrace run approve ${runId} ${path}`;

const done = (decision: 'approve' | 'reject'): LinkAnswer => ({
  status: 200,
  html: messagePage(
    decision === 'approve' ? 'Approved' : 'Rejected',
    'The decision is recorded. You can close this page.',
  ),
});

function pageOf(opened: Opened, given?: Readonly<Record<string, string>>, problems: readonly string[] = []): string {
  const { decision, asked, runId, path, approver, expires } = opened;
  const { title, description, workflow, form } = asked;
  const until = new Date(expires).toISOString();
  const about = { decision, title, description, workflow, runId, path, approver, until };
  return approvalPage({ ...about, form: form as InputSpecs, ...(given && { given }), problems });
}

/** What a browser sends is text; a box that is not ticked is not sent. */
function valuesOf(form: InputSpecs, fields: Readonly<Record<string, string>>): Record<string, unknown> {
  const values = Object.entries(form).map(([name, spec]) => [name, valueOf(spec, fields[FIELD + name])] as const);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}

function valueOf({ type, options = [] }: InputSpec, sent: string | undefined): unknown {
  if (type === 'boolean') return sent !== undefined;
  if (sent === undefined || sent === '') return undefined;
  // What is not a number stays text, and is refused as such.
  if (type === 'number') return Number.isFinite(Number(sent)) ? Number(sent) : sent;
  if (type === 'select') return options.find((option) => String(option) === sent) ?? sent;
  if (type === 'list' || type === 'object') return jsonOr(sent);
  return sent;
}

/** What is not JSON stays text, and is refused as such. */
function jsonOr(sent: string): unknown {
  try {
    return parseJson(sent);
  } catch {
    return sent;
  }
}
