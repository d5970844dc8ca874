import { type JsonObject, keyText } from '#libs/kernel/src/json.js';

import {
  type ActionKind,
  givenTexts,
  keys,
  needed,
  neededText,
  optional,
  textOf,
  textsOf,
  unusable,
} from './action-kind.js';

const ISSUE =
  'Number or id of an existing issue: `body`, or else `title`, is added to it as a comment, and so are the labels. No issue is opened.';
const CLOSE = '`true`: close `issue`.';

export const createIssue: ActionKind<'issue.requested'> = {
  description:
    'Opens an issue; with `dedupeKey` at most one open issue for each value of it. With `issue`, comments on an existing one, labels it or closes it.',
  with: keys({
    title: needed('If a template gives nothing, the name of the rule.'),
    body: optional('Markdown.'),
    priority: optional('Such as `high`.'),
    labels: optional('A list of labels, or one.'),
    assignee: optional('Who works on it.'),
    dedupeKey: optional('While an issue with this key is open, a comment is added to it instead of a new issue.'),
    tracker: optional('Id or name of an integration of GitHub or GitLab. Default: the built-in tracker.', 'tracker'),
    issue: optional(ISSUE),
    close: optional(CLOSE),
  }),
  check: ({ issue, close }, pointer, problems) => {
    if (close !== undefined && issue === undefined)
      problems.add(`${pointer}/close`, 'Must be left out without "issue": it closes that issue.');
  },
  request: (filled, rule) => ({
    // An alert without a text is still an alert.
    title: textOf(filled['title']) || rule,
    ...givenTexts(filled, 'tracker', 'body', 'priority', 'assignee'),
    ...(textOf(filled['dedupeKey']) !== '' && { dedupeKey: keyText(filled['dedupeKey']) }),
    // A template that gives nothing must not open a new issue.
    ...('issue' in filled && { issue: neededText(filled, 'issue'), ...closing(filled) }),
    ...(filled['labels'] !== undefined && filled['labels'] !== null && { labels: textsOf(filled['labels']) }),
  }),
};

function closing({ close }: JsonObject): { readonly close?: boolean } {
  if (close === undefined || close === null) return {};
  if (typeof close !== 'boolean') throw unusable('close', 'true or false', close);
  return { close };
}
