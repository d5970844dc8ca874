import { type ActionKind, givenTexts, keys, needed, neededText, optional, textOf, unusable } from './action-kind.js';

export const sendMessage: ActionKind<'message.requested'> = {
  description:
    'Sends a message through an integration of Slack or Bot Framework, or of a plug-in whose provider can send.',
  with: keys({
    integration: needed('Id or name of the integration that sends the message.', 'integration'),
    channel: optional('Id or name of a channel, such as `#ops`. Default: where the event came from.'),
    text: needed('What it says.'),
    threadId: optional('The message to whose thread it belongs: `${{ data.message.threadId }}`.'),
    blocks: optional('A list: the layout of the service, such as blocks of Slack or attachments of Bot Framework.'),
    respond: optional("`true`: answer at the event's own address, as Slack's commands and interactions have it."),
  }),
  check: (given, pointer, problems) => {
    const { respond } = given;
    if (respond !== undefined && typeof respond !== 'boolean')
      problems.add(`${pointer}/respond`, 'Must be true or false.');
  },
  request: (filled) => {
    const { blocks, respond } = filled;
    if (blocks !== undefined && blocks !== null && !Array.isArray(blocks)) throw unusable('blocks', 'a list', blocks);
    return {
      integration: neededText(filled, 'integration'),
      ...givenTexts(filled, 'channel', 'threadId'),
      text: textOf(filled['text']),
      ...(Array.isArray(blocks) && { blocks: [...(blocks as readonly unknown[])] }),
      ...(respond === true && { respond }),
    };
  },
};
