/**
 * Globs over names with slashes, as in GitHub Actions: `*` is any text without a slash, `**` any text at all, `?`
 * one character but a slash; a pattern that begins with `!` excludes what an earlier one includes.
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

/** Follows all ways through the pattern at once, each offset once: no pattern is slow. */
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
        // From an offset that was reached before, everything behind it was reached too.
        for (let end = at; end <= path.length && !next.has(end); end++) {
          next.add(end);
          if (token === '*' && path[end] === '/') break;
        }
    }
    ends = next;
  }
  return ends.has(path.length);
}
