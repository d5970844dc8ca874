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

/** Of a message or event (`user`, `bot_id`), or a user as interactions and commands have it (`id`, `username`). */
export function authorOf(value: Json | Fields | undefined): JsonObject | undefined {
  const said = fieldsOf(value as Json);
  const user = textOf(said['user']) ?? textOf(said['id']);
  const bot = textOf(said['bot_id']);
  const id = user ?? bot;
  if (id === undefined) return undefined;
  return known({
    id,
    username: textOf(said['username']),
    name: textOf(fieldsOf(said['bot_profile'])['name']) ?? textOf(said['name']),
    bot: bot === undefined ? undefined : true,
  });
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

/** What was pressed, chosen or filled in. Of several actions the first: Slack sends one at a time. */
export function interactionOf(body: Fields, kind: string): JsonObject {
  const action = fieldsOf(listOf(body['actions'])[0]);
  const view = fieldsOf(body['view']);
  const chosen = fieldsOf(action['selected_option'])['value'];
  return known({
    kind,
    actionId:
      textOf(action['action_id']) ??
      textOf(action['name']) ??
      textOf(body['callback_id']) ??
      textOf(view['callback_id']),
    value: action['value'] ?? chosen ?? fieldsOf(view['state'])['values'],
  });
}

/** `1355517523.000005`, seconds and a counter, as milliseconds. */
export function timeOf(ts: Json | undefined): number | undefined {
  const match = /^(\d{9,11})(?:\.\d{1,9})?$/.exec(textOf(ts) ?? '');
  return match ? Math.floor(Number(match[0]) * 1000) : undefined;
}
