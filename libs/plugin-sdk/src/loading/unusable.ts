import { Rejected } from '#libs/kernel/src/errors.js';

/** Why a plug-in cannot be used, which ends the start: `plugin.unusable`. */
export const unusable = (plugin: string, reason: string, cause?: unknown): Rejected =>
  new Rejected('invalid', 'plugin.unusable', `The plug-in ${plugin} cannot be used: ${reason}.`, { cause });
