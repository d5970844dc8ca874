import { keyText } from '#libs/kernel/src/json.js';

import { type ActionKind, givenTexts, keys, needed, optional, textOf, textsOf } from './action-kind.js';

export const createIssue: ActionKind<'issue.requested'> = {
  description: 'Opens an issue; with `dedupeKey` at most one open issue for each value of it.',
  with: keys({
    title: needed('If a template gives nothing, the name of the rule.'),
    body: optional('Markdown.'),
    priority: optional('Such as `high`.'),
    labels: optional('A list of labels, or one.'),
    assignee: optional('Who works on it.'),
    dedupeKey: optional('While an issue with this key is open, a comment is added to it instead of a new issue.'),
    tracker: optional('Id or name of an integration of GitHub or GitLab. Default: the built-in tracker.', 'tracker'),
  }),
  request: (filled, rule) => ({
    // An alert without a text is still an alert.
    title: textOf(filled['title']) || rule,
    ...givenTexts(filled, 'tracker', 'body', 'priority', 'assignee'),
    ...(textOf(filled['dedupeKey']) !== '' && { dedupeKey: keyText(filled['dedupeKey']) }),
    ...(filled['labels'] !== undefined && filled['labels'] !== null && { labels: textsOf(filled['labels']) }),
  }),
};
