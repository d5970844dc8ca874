import { ACTION_REQUESTS } from '#libs/events/src/types/actions/action.events.js';
import type { BuiltInAction } from '#libs/plugin-sdk/src/define-action.js';

import type { ActionKind, RequestType } from './action-kind.js';
import { createIssue } from './create-issue.action.js';
import { dispatchAgent } from './dispatch-agent.action.js';
import { dispatchWorkflow } from './dispatch-workflow.action.js';
import { sendMessage } from './send-message.action.js';
import { sendWebhook } from './send-webhook.action.js';

/** THE ACTIONS OF RULES: every built-in kind. What else lists them is derived from this. */
export const builtInActions: { readonly [A in BuiltInAction]: ActionKind<(typeof ACTION_REQUESTS)[A]> } = {
  create_issue: createIssue,
  send_webhook: sendWebhook,
  dispatch_workflow: dispatchWorkflow,
  dispatch_agent: dispatchAgent,
  send_message: sendMessage,
};

export const actionTypes = Object.keys(builtInActions) as readonly BuiltInAction[];
export const isBuiltIn = (type: string): type is BuiltInAction => Object.hasOwn(builtInActions, type);

/** Every type of event by which a rule may ask for something, that for an action of a plug-in included. */
export const requestTypes: readonly RequestType[] = [...Object.values(ACTION_REQUESTS), 'action.requested'];
