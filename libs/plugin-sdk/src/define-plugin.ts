import type { ActionDefinition } from './define-action.js';
import type { Provider } from './define-provider.js';
import type { StepDefinition } from './define-step.js';
import type { Preset } from './scheme/define-preset.js';

/** The version of this interface. A plug-in written for another one is refused at start. */
export const SDK_VERSION = 1;

/** A package that extends the platform: a plain object, the default export of its module. */
export interface Plugin {
  /** For messages and lists: the name of the package. */
  readonly name: string;
  readonly sdk: typeof SDK_VERSION;
  /** Providers. */
  readonly providers?: readonly Provider[];
  /** Senders that are described rather than programmed: for integrations with the provider `generic_webhook`. */
  readonly presets?: readonly Preset[];
  /** Kinds of workflow steps that it adds. */
  readonly steps?: readonly StepDefinition[];
  /** Kinds of actions of rules that it adds. */
  readonly actions?: readonly ActionDefinition[];
}

/** Types a plug-in; returns it unchanged. */
export const definePlugin = (plugin: Plugin): Plugin => plugin;
