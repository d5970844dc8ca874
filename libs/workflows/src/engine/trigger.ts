import type { PlatformEvent } from '#libs/events/src/envelope.js';
import { globMatcher } from '#libs/events/src/patterns.js';

import type { EventTrigger } from '../language/definition.js';

interface CodeData {
  readonly branch?: string;
  readonly commits?: readonly {
    added?: readonly string[];
    modified?: readonly string[];
    removed?: readonly string[];
  }[];
}

/**
 * Whether an event of a type that the trigger names fits all the rest of it. `branches` and `paths` stand for nothing
 * where the event has none: such an event does not fit.
 * @throws Rejected `expression.too_costly`
 */
export function fits({ source, branches, paths, when }: EventTrigger, event: PlatformEvent): boolean {
  if (source && !source.some((glob) => globMatcher(glob)(event.source))) return false;
  const { branch, commits } = event.data as CodeData;
  if (branches && !(typeof branch === 'string' && pathMatcher(branches)(branch))) return false;
  if (paths && !changedFiles(commits).some(pathMatcher(paths))) return false;
  return when === undefined || when.test({ ...event, event });
}

const changedFiles = (commits: CodeData['commits']): readonly string[] =>
  (Array.isArray(commits) ? (commits as NonNullable<CodeData['commits']>) : []).flatMap(
    ({ added = [], modified = [], removed = [] }) => [...added, ...modified, ...removed],
  );

/**
 * Globs over names with slashes, as GitHub Actions has them: `*` is any text without a slash, `**` any text at all, `?`
 * one character that is no slash; a pattern that begins with `!` takes out again what an earlier one let in.
 */
export function pathMatcher(patterns: readonly string[]): (path: string) => boolean {
  const tests = patterns.map((pattern) => {
    const negated = pattern.startsWith('!');
    const parts = tokensOf(negated ? pattern.slice(1) : pattern);
    return { negated, test: (path: string) => matches(parts, path) };
  });
  return (path) => tests.reduce((included, { negated, test }) => (test(path) ? !negated : included), false);
}

type Token = '*' | '**' | '**/' | '?' | { readonly text: string };

function tokensOf(pattern: string): Token[] {
  return (pattern.match(/\*\*\/?|\*|\?|[^*?]+/g) ?? []).map((part) =>
    part === '**/' || part === '**' || part === '*' || part === '?' ? part : { text: part },
  );
}

/** Follows all ways through the pattern at once, each place once: no pattern is slow. */
function matches(tokens: readonly Token[], path: string): boolean {
  let ends = new Set([0]);
  for (const token of tokens) {
    const next = new Set<number>();
    for (const at of ends) {
      if (typeof token === 'object') {
        if (path.startsWith(token.text, at)) next.add(at + token.text.length);
      } else if (token === '?') {
        if (at < path.length && path[at] !== '/') next.add(at + 1);
      } else if (token === '**/') {
        next.add(at);
        for (
          let slash = path.indexOf('/', at);
          slash >= 0 && !next.has(slash + 1);
          slash = path.indexOf('/', slash + 1)
        )
          next.add(slash + 1);
      } else
        // From a place that was reached before, everything behind it was reached too.
        for (let end = at; end <= path.length && !next.has(end); end++) {
          next.add(end);
          if (token === '*' && path[end] === '/') break;
        }
    }
    ends = next;
  }
  return ends.has(path.length);
}
