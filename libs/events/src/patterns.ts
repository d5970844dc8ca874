import { isSystemType } from './catalogue.js';

/**
 * Event type patterns of rules, triggers, outbound webhooks and searches: a type by name, or a glob. A glob whose first
 * segment names a family (`pr.*`, `webhook.*`) matches all types of that family. Every other one (`*`, `*.*`,
 * `*.failed`) is {@link isWide wide}: it leaves out system types and `webhook.*` (but `webhook.received`), so that nothing
 * that listens to everything hears itself.
 */
export function typeMatcher(patterns: readonly string[]): (type: string) => boolean {
  const tests = patterns.map((pattern) => {
    const matches = globMatcher(pattern);
    return isWide(pattern) ? (type: string) => isOrdinary(type) && matches(type) : matches;
  });
  if (tests.length === 1) return tests[0]!;
  return (type) => tests.some((test) => test(type));
}

/** Whether a pattern does not say of which family of types it speaks. */
export const isWide = (pattern: string): boolean => pattern.split('.', 1)[0]!.includes('*');

/** A glob over dotted names: `*` stands for any run of characters. Linear in the text, whatever the pattern. */
export function globMatcher(pattern: string): (text: string) => boolean {
  if (!pattern.includes('*')) return (text) => text === pattern;
  const [head = '', ...parts] = pattern.split('*');
  const tail = parts.pop() ?? '';
  return (text) => {
    if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
    let at = head.length;
    const end = text.length - tail.length;
    for (const part of parts) {
      const found = text.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}

const isOrdinary = (type: string): boolean =>
  !isSystemType(type) && (type === 'webhook.received' || !type.startsWith('webhook.'));
