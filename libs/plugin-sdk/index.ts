/** What plug-ins import: `millrace/plugin-sdk`. The tests for providers are in `millrace/plugin-sdk/testing`. */
/** `Type` is for the schemas of steps and actions; any JSON Schema does. */
export { type Static, Type } from '@sinclair/typebox';

export { type ActionContext, type ActionDefinition, defineAction } from './src/define-action.js';
export { definePlugin, type Plugin, SDK_VERSION } from './src/define-plugin.js';
export {
  type Answer,
  defineProvider,
  type InboundBody,
  type InboundRequest,
  type Normalised,
  type NormalisedEvent,
  type Provider,
  type ProviderConfig,
  type ProviderContext,
  type Receipt,
  type RefusalReason,
  type Unreadable,
  type Verdict,
} from './src/define-provider.js';
export type { Messenger, OutgoingMessage, SendContext, SentMessage } from './src/services/define-messenger.js';
export {
  causeIn,
  type IssueChange,
  type NewIssue,
  type TrackedIssue,
  type Tracker,
  type TrackerContext,
} from './src/services/define-tracker.js';
export { defineStep, type StepContext, type StepDefinition, StepError, type StepHttp } from './src/define-step.js';
export {
  booleanOf,
  type Fields,
  fieldsOf,
  idOf,
  integerOf,
  type Json,
  type JsonObject,
  known,
  listOf,
  objectOf,
  textOf,
  textsOf,
} from './src/fields.js';
export { type InboundType, isInboundType } from './src/inbound-types.js';
export {
  ExactNumber,
  isExactNumber,
  parseAsWritten,
  parseJson,
  stringifyJson,
} from '#libs/kernel/src/text/exact-json.js';
export { readHttpBody, type ReadBody } from '#libs/kernel/src/text/http-body.js';
export { type Backoff, backoff } from '#libs/kernel/src/time/backoff.js';
export { retryAfterSeconds } from '#libs/kernel/src/time/retry-after.js';
export { type JsonAnswer, type JsonRequest, requestJson, statusError } from './src/services/request-json.js';
export { standardKey, standardSignature } from './src/standard-webhooks.js';
export {
  type HmacScheme,
  hmacSha256Hex,
  holdsSecret,
  timingSafeEqual,
  verifyBearer,
  verifyHmac,
  withinTolerance,
} from './src/signatures.js';
export { verifyHexSignature, verifyWebhook } from './src/verify-webhook.js';
