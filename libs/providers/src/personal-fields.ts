/**
 * What is personal in the events of code hosts and chats. The payload repeats people in many places, so all of it counts; the
 * people are everybody whom the neutral fields name, and more where the sender has them.
 */
const listOf = (subjects: readonly string[], fields: readonly string[]) => [
  { subject: `[${subjects.join(', ')}]`, fields: fields.map((field) => `data.${field}`) },
];

export const personalOfCodeHosts = (more: readonly string[]) =>
  listOf(
    [
      'data.author.[username, email]',
      'data.commits[].author.[username, email]',
      'data.pullRequest.author.username',
      'data.issue.author.username',
      'data.issue.assignees',
      'data.comment.author.username',
      'data.review.author.username',
      'data.release.author.username',
      ...more,
    ],
    [
      'payload',
      'author',
      'commits[*].author',
      'commits[*].message',
      ...['pullRequest', 'issue', 'release'].flatMap((thing) => [`${thing}.author`, `${thing}.body`]),
      'pullRequest.title',
      'issue.title',
      'issue.assignees',
      ...['comment', 'review'].flatMap((thing) => [`${thing}.author`, `${thing}.body`]),
    ],
  );

export const personalOfChats = (more: readonly string[]) =>
  listOf(
    ['data.author.id', 'data.author.username', 'data.message.mentions[].id', ...more],
    [
      'payload',
      'author',
      'text',
      'message.text',
      'message.mentions',
      'message.attachments',
      'interaction.value',
      'channel.name',
    ],
  );
