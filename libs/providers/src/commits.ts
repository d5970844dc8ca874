import {
  fieldsOf,
  type Json,
  type JsonObject,
  known,
  knownTextsOf,
  listOf,
  textOf,
} from '#libs/plugin-sdk/src/fields.js';

/** Whether everything that was pushed is listed: a list that was not sent, or has what is no commit, says nothing of the rest. */
export const isWhole = (value: Json | undefined, commits: readonly JsonObject[]): boolean =>
  Array.isArray(value) && commits.length === value.length;

/**
 * Commits as code hosts list them in a push: GitHub and GitLab write them alike, but for people and times. Path lists that were not
 * sent are absent: an empty one says that nothing changed.
 */
export const commitsOf = (
  value: Json | undefined,
  authorOf: (value: Json | undefined) => JsonObject | undefined,
  timeOf: (value: Json | undefined) => string | undefined = textOf,
): readonly JsonObject[] =>
  listOf(value).flatMap((element) => {
    const commit = fieldsOf(element);
    const id = textOf(commit['id']);
    if (id === undefined) return [];
    return known({
      id,
      message: typeof commit['message'] === 'string' ? commit['message'] : '',
      author: authorOf(commit['author']),
      url: textOf(commit['url']),
      timestamp: timeOf(commit['timestamp']),
      added: knownTextsOf(commit['added']),
      modified: knownTextsOf(commit['modified']),
      removed: knownTextsOf(commit['removed']),
    });
  });
