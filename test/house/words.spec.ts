import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { describe, expect, it } from '@jest/globals';

const ROOT = resolve(import.meta.dirname, '../..');
const listed = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
  cwd: ROOT,
  encoding: 'utf8',
});
const files = listed.stdout.split('\0').filter(Boolean);
const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8');

/** Programs whose texts users see; specs, their helpers and the contract of the log are for contributors. */
const sources = files.filter(
  (name) =>
    /^(apps|libs|docs)\/.*\.(ts|mjs|js)$/.test(name) && !/\.spec\.ts$|\/testing\/|\/contract\/|\/fixtures\//.test(name),
);
const pages = files.filter((name) => /\.md$|^workflows\/|^docker-compose/.test(name));

const QUOTED = /'((?:\\.|[^'\\\n])*)'|"((?:\\.|[^"\\\n])*)"|`((?:\\.|[^`\\])*)`/g;
const isComment = (line: string): boolean => /^\s*(\*|\/\/|\/\*)/.test(line);
const withoutComments = (text: string): string =>
  text
    .split('\n')
    .filter((line) => !isComment(line))
    .join('\n');

/** Texts of three words or more, with their file. */
const texts = sources.flatMap((name) =>
  [...withoutComments(read(name)).matchAll(QUOTED)]
    .map(([, single, double, template]) => single ?? double ?? template ?? '')
    .filter((text) => /\S\s+\S+\s+\S/.test(text) && !/^\s*(create|insert|select|with|update|delete|alter) /i.test(text))
    .map((text) => ({ name, text })),
);
const lines = pages.flatMap((name) =>
  read(name)
    .split('\n')
    .map((text) => ({ name, text })),
);

/** What nobody says today, in comments either. Each entry has been in a text; the plain words are beside it. */
const QUAINT_ANYWHERE: readonly (readonly [RegExp, string])[] = [
  [/\b(is|are) told\b/, 'is notified, gets'],
  [/\bas often as\b/, 'any number of times'],
  [/\bfor good\b/, 'permanently'],
  [/\bfor ever\b/, 'without a time limit'],
  [/\banew\b/, 'again'],
  [/\bin vain\b/, 'without a result'],
  [/\b(is|are) there already\b/, 'already exists'],
];
/** The same for texts that users read. */
const QUAINT: typeof QUAINT_ANYWHERE = [
  ...QUAINT_ANYWHERE,
  [/\bknows? (no|nothing|of no)\b/, 'there is no …'],
  [/\b(what|which) may pass\b/i, 'transient failures'],
  [/\blets? (nobody|everybody)\b/, 'blocks or accepts every …'],
  [/\b(takes?|take) in\b/, 'accepts, processes'],
  [/\bgives? away\b/, 'reveals, sends'],
  [/\bhands? out\b/, 'returns'],
  [/\b(the one|those) before\b/, 'the previous one'],
  [/\bslip of the pen\b/, 'a typo'],
  [/(?<!\bthere )\bis no (id|event|rule|object|list|text)\b/i, 'is not a …'],
  [/\bas it should be\b/, 'is invalid'],
  [/\bwhoever\b/i, 'anyone who, name the subject'],
  [/\bsomebody\b/i, 'name the subject'],
  [/\bin place of\b/, 'instead of'],
  [/\bso often\b/, 'the number of times'],
  [/\bhad been\b/, 'was'],
  [/\btried again\b/, 'retried'],
  [/\bsaid no\b/, 'refused'],
  [/\bwhat came\b/, 'what was received'],
  [/\bsecond time is none\b/, 'a repeat has no effect'],
  [/\bnot (as it is|any more)\b/, 'invalid, no longer'],
  [/\bput (it|them|an event)? ?aside\b/, 'parked'],
];

const quaint = (some: readonly { readonly name: string; readonly text: string }[], list = QUAINT): string[] =>
  some.flatMap(({ name, text }) =>
    list
      .filter(([pattern]) => pattern.test(text))
      .map(([, plain]) => `${name}: "${text.trim().slice(0, 120)}". Write: ${plain}`),
  );

/** How the problem of a request begins. What refers to something else may say that it is not there, or there twice. */
const VOICE = /\bmust\b|^(Must |Unknown key |"[^"]*" is (required|not )|There is |No step |Another |Only )/;
/** A code, or words that are made elsewhere. */
const ELSEWHERE = /^([a-z]+\.[a-z_]+$|\$\{|column \$\{)/;
const problems = sources
  .filter((name) => /^(apps|libs)\/.*\.ts$/.test(name))
  .flatMap((name) => {
    const text = withoutComments(read(name));
    const found = [
      ...text.matchAll(/\bpointer(?:: [^,{}]+)?,\s*detail:\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/g),
      ...text.matchAll(/\bproblems\.add\(\s*[^,()]+,\s*(?:'[a-z]+\.[a-z_]+',\s*)?(['"`])((?:\\.|(?!\1)[^\\])*)\1/g),
    ];
    return found.map(([, , detail = '']) => ({ name, detail }));
  });

function titlesIn(name: string): string[] {
  const [, table = ''] = /const TITLES[^{]*\{([^}]*)\}/.exec(read(name)) ?? [];
  return [...table.matchAll(/\d+: '([^']*)'/g)].map(([, title]) => title!);
}

describe('words that users read', () => {
  it('there are some to look at', () => {
    expect(texts.length).toBeGreaterThan(1500);
    expect(lines.length).toBeGreaterThan(2500);
    expect(problems.length).toBeGreaterThan(60);
  });

  it('the titles of problems are the usual ones', () => {
    expect(titlesIn('apps/server/src/http/problem.ts')).toEqual([
      'Malformed request',
      'Not authenticated',
      'Not allowed',
      'Not found',
      'Method not allowed',
      'Request timeout',
      'Conflict',
      'Changed in the meantime',
      'Too large',
      'URI too long',
      'Unsupported media type',
      'Expectation failed',
      'Invalid request',
      'Too many requests',
      'Headers too large',
      'Internal error',
      'Unavailable',
    ]);
    expect(titlesIn('libs/intake/src/receiving/answers.ts')).toEqual([
      'Invalid request',
      'Not authenticated',
      'Not allowed',
      'Not found',
      'Method not allowed',
      'Too large',
      'Unsupported media type',
      'Too many requests',
      'Internal error',
      'Unavailable',
    ]);
  });

  it('a problem says what must be there', () => {
    expect(problems.filter(({ detail }) => !VOICE.test(detail) && !ELSEWHERE.test(detail))).toEqual([]);
  });

  it('texts of programs are in plain words', () => {
    expect(quaint(texts)).toEqual([]);
  });

  it('comments are in plain words', () => {
    const comments = sources.flatMap((name) =>
      read(name)
        .split('\n')
        .filter(isComment)
        .map((text) => ({ name, text })),
    );
    expect(comments.length).toBeGreaterThan(5000);
    expect(quaint(comments, QUAINT_ANYWHERE)).toEqual([]);
  });

  it('pages are in plain words', () => {
    expect(quaint(lines)).toEqual([]);
  });

  it('the search finds what it should, and nothing else', () => {
    const found = (text: string): number => quaint([{ name: 'x', text }]).length;
    expect(found('The operator is told, and whoever listens too.')).toBe(2);
    expect(found('The receiver answered 500. The delivery is retried.')).toBe(0);
  });
});
