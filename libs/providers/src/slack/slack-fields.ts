import {
  fieldsOf,
  type Fields,
  type Json,
  type JsonObject,
  known,
  listOf,
  textOf,
} from '#libs/plugin-sdk/src/fields.js';

/** Slack's objects in neutral words. */

/** A channel by its id, or as the object that interactions have. */
export function channelOf(value: Json | undefined, name?: Json): (JsonObject & { readonly id: string }) | undefined {
  const object = fieldsOf(value);
  const id = textOf(value) ?? textOf(object['id']);
  return id === undefined ? undefined : { ...known({ name: textOf(name) ?? textOf(object['name']) }), id };
}

const SLACKBOT = 'USLACKBOT';

/** Of a message or event (`user`, `bot_id`), or a user as interactions and commands have it (`id`, `username`). */
export function authorOf(value: Json | Fields | undefined): JsonObject | undefined {
  const said = fieldsOf(value as Json);
  const user = fieldsOf(said['user']);
  const profile = fieldsOf(said['bot_profile']);
  const botId = textOf(said['bot_id']) ?? textOf(profile['id']);
  const id = textOf(said['user']) ?? textOf(user['id']) ?? textOf(said['user_id']) ?? textOf(said['id']) ?? botId;
  const isBot =
    botId !== undefined ||
    said['bot_profile'] !== undefined ||
    said['subtype'] === 'bot_message' ||
    [said['is_bot'], user['is_bot']].includes(true) ||
    id === SLACKBOT;
  const author = known({
    id,
    username: textOf(said['username']) ?? textOf(user['name']),
    name: textOf(profile['name']) ?? textOf(user['real_name']) ?? textOf(said['name']),
    bot: isBot ? true : undefined,
  });
  return Object.keys(author).length === 0 ? undefined : author;
}

export function messageOf(said: Fields): JsonObject {
  const ts = textOf(said['ts']);
  const thread = textOf(said['thread_ts']);
  const text = textOf(said['text']) ?? '';
  const files = listOf(said['files']).map((file) => {
    const { id, name, mimetype, url_private } = fieldsOf(file);
    return known({ id: textOf(id), name: textOf(name), contentType: textOf(mimetype), url: textOf(url_private) });
  });
  const mentions = [...text.matchAll(/<@([A-Z0-9]{2,32})(?:\|([^>]{1,200}))?>/g)]
    .slice(0, 50)
    .map(([, id, name]) => known({ id, name }));
  return known({
    id: ts,
    text,
    // The first message of a thread names itself.
    threadId: thread === ts ? undefined : thread,
    attachments: files.length === 0 ? undefined : files,
    mentions: mentions.length === 0 ? undefined : mentions,
  });
}

/** Where the elements of Slack's forms have what was chosen. */
const CHOSEN = [
  'value',
  'selected_option',
  'selected_options',
  'selected_date',
  'selected_time',
  'selected_date_time',
  'selected_user',
  'selected_users',
  'selected_conversation',
  'selected_conversations',
  'selected_channel',
  'selected_channels',
  'rich_text_value',
  'files',
] as const;

/**
 * What was pressed, chosen or filled in. Of several actions the first: Slack sends one at a time.
 * @param action of a button or a field; without fields where the interaction is another one.
 */
export function interactionOf(body: Fields, action: Fields, kind: string): JsonObject {
  const view = fieldsOf(body['view']);
  const chosen = chosenIn(action);
  return known({
    kind,
    actionId:
      textOf(action['action_id']) ??
      textOf(action['name']) ??
      textOf(body['action_id']) ??
      textOf(body['name']) ??
      textOf(body['callback_id']) ??
      textOf(view['callback_id']),
    // A dialog has what was filled in; a field that suggests options, what was typed so far.
    value: chosen !== undefined ? chosen : (body['submission'] ?? body['value'] ?? fieldsOf(view['state'])['values']),
  });
}

/** `null` where a choice was taken back. */
function chosenIn(action: Fields): Json | undefined {
  const chosen = CHOSEN.find((name) => action[name] !== undefined);
  if (chosen === undefined) return undefined;
  const value = action[chosen]!;
  if (!chosen.startsWith('selected_option')) return value;
  if (!Array.isArray(value)) return valueOf(value);
  const values = listOf(value).map(valueOf);
  // A menu of an attachment, the older kind, has a list of one.
  return action['type'] === 'select' && values.length === 1 ? values[0] : values;
}

const valueOf = (option: Json): Json => fieldsOf(option)['value'] ?? null;

/** `1355517523.000005`, seconds and a counter, as milliseconds. */
export function timeOf(ts: Json | undefined): number | undefined {
  const match = /^(\d{9,11})(?:\.\d{1,9})?$/.exec(textOf(ts) ?? '');
  return match ? Math.floor(Number(match[0]) * 1000) : undefined;
}
