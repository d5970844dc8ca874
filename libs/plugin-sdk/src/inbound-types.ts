import { gitEvents } from '#libs/events/src/types/git.events.js';
import { inboundEvents } from '#libs/events/src/types/inbound.events.js';

/** Types that both the platform and trackers outside record. */
const SHARED = ['issue.created', 'issue.updated', 'issue.status_changed'] as const;

/** A type that may come from outside. */
export type InboundType = keyof typeof gitEvents | keyof typeof inboundEvents | (typeof SHARED)[number];

/** All of them. */
export const INBOUND_TYPES = [
  ...Object.keys(gitEvents),
  ...Object.keys(inboundEvents),
  ...SHARED,
] as readonly InboundType[];

const TYPES: ReadonlySet<string> = new Set(INBOUND_TYPES);

/**
 * Whether a provider may give events of this type. No sender can make the platform believe in a delivery or a decision of
 * its own: events of any other type are recorded as `webhook.received`.
 */
export const isInboundType = (type: string): type is InboundType => TYPES.has(type);
