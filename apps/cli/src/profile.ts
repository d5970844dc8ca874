import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { parseJson } from '#libs/kernel/src/text/exact-json.js';
import { isObject } from '#libs/kernel/src/json.js';

import { UsageError } from './failures.js';

/** Which server, and as whom. */
export interface Target {
  /** Without a slash at its end. */
  readonly url: string;
  readonly token: string | undefined;
}

const DEFAULT_URL = 'http://127.0.0.1:3000';

export const profileFile = (env: NodeJS.ProcessEnv): string =>
  join(env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'millrace', 'profiles.json');

/**
 * From flags, else the environment (`MILLRACE_URL`, `MILLRACE_TOKEN`), else the profile (`MILLRACE_PROFILE`, "default") in
 * `~/.config/millrace/profiles.json`: `{ "default": { "url": "https://…", "token": "mr_…" } }`.
 * @throws UsageError if the URL, the token or the file is invalid, or a profile is named that does not exist.
 */
export function targetOf(
  flags: { readonly url?: string; readonly token?: string; readonly profile?: string },
  env: NodeJS.ProcessEnv,
): Target {
  const named = flags.profile ?? env['MILLRACE_PROFILE'];
  const profile = profileOf(named ?? 'default', named !== undefined, profileFile(env));
  const url = flags.url ?? env['MILLRACE_URL'] ?? profile.url ?? DEFAULT_URL;
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new UsageError(`${url} must be the URL of a server, such as ${DEFAULT_URL}.`);
  const token = flags.token ?? env['MILLRACE_TOKEN'] ?? profile.token;
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
    throw new UsageError(
      'The API token must have only letters, digits and punctuation. Paste the whole token, which begins with mr_.',
    );
  return { url: url.replace(/\/+$/, ''), token };
}

function profileOf(name: string, mustBeThere: boolean, file: string): { url?: string; token?: string } {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    if (mustBeThere) throw new UsageError(`There is no profile "${name}": ${file} cannot be read.`);
    return {};
  }
  let profiles: unknown;
  try {
    profiles = parseJson(text);
  } catch (error) {
    throw new UsageError(`${file} is not JSON: ${(error as Error).message}`);
  }
  const profile = isObject(profiles) && Object.hasOwn(profiles, name) ? profiles[name] : undefined;
  if (profile === undefined && !mustBeThere) return {};
  if (!isObject(profile))
    throw new UsageError(
      `There is no profile "${name}" in ${file}: write { "${name}": { "url": "…", "token": "mr_…" } }.`,
    );
  const { url, token } = profile;
  return { ...(typeof url === 'string' && { url }), ...(typeof token === 'string' && { token }) };
}
