import { createHash } from 'node:crypto';

/** Most rules of one set: a rule that is saved makes a new name for so many at most. */
export const SET_SIZE = 128;

/** A rule, in the version that was asked. */
export type RuleVersion = readonly [ruleId: string, version: number];

/** A set as it was at one time, named by what is in it: verdicts refer to its rules by their places. Immutable. */
export interface FormedSet {
  readonly name: string;
  readonly rules: readonly RuleVersion[];
}

interface Placed {
  readonly rule: { readonly id: string; readonly version: number };
  /** Among the members of its set. */
  slot: number;
}

/**
 * Rules that look at the same events, so that they are asked together and a verdict that they share is recorded once.
 * Changes when one of them is saved, enabled, disabled or archived; what was formed before stays as it was.
 */
export class RuleSet<Member extends Placed> {
  readonly members: Member[] = [];
  private known: FormedSet | undefined;

  constructor(private readonly orgId: string) {}

  get hasRoom(): boolean {
    return this.members.length < SET_SIZE;
  }

  add(member: Member): void {
    member.slot = this.members.push(member) - 1;
    this.known = undefined;
  }

  remove(member: Member): void {
    this.members.splice(member.slot, 1);
    for (let slot = member.slot; slot < this.members.length; slot++) this.members[slot]!.slot = slot;
    this.known = undefined;
  }

  /** Named when it is first asked for: a thousand rules saved in a row make no thousand names. */
  get formed(): FormedSet {
    return (this.known ??= formed(
      this.orgId,
      this.members.map(({ rule }) => [rule.id, rule.version]),
    ));
  }
}

function formed(orgId: string, rules: readonly RuleVersion[]): FormedSet {
  const hash = createHash('sha256').update(orgId);
  for (const [id, version] of rules) hash.update(`\n${id} ${version}`);
  return { name: hash.digest('base64url').slice(0, 22), rules };
}

/** Places in a set, ascending, as `0-4,7`. */
export function rangesOf(slots: readonly number[]): string {
  let text = '';
  for (let at = 0; at < slots.length;) {
    let end = at;
    while (end + 1 < slots.length && slots[end + 1] === slots[end]! + 1) end++;
    text += `${text === '' ? '' : ','}${slots[at]}${end > at ? `-${slots[end]}` : ''}`;
    at = end + 1;
  }
  return text;
}

/** The places again. */
export function slotsOf(ranges: string): readonly number[] {
  return ranges.split(',').flatMap((range) => {
    const [from, to = from] = range.split('-').map(Number);
    return Array.from({ length: Math.max(0, Math.min(to! - from! + 1, SET_SIZE)) }, (_, index) => from! + index);
  });
}
