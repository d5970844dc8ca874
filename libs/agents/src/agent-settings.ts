import { type Problem, Rejected } from '#libs/kernel/src/errors.js';
import { isObject, pointerToken } from '#libs/kernel/src/json.js';

import type { AgentSettings } from './agent.js';

/** Keys of `config` by runtime; those in `required` must be there. Values are texts, or lists of texts. */
const CONFIGS: Readonly<
  Record<AgentSettings['runtime'], { required: readonly string[]; optional: readonly string[] }>
> = {
  http: { required: ['url'], optional: [] },
  openai: { required: ['baseUrl', 'model'], optional: ['prompt'] },
  workflow: { required: ['workflow'], optional: [] },
  command: { required: ['command'], optional: ['args'] },
};
export const RUNTIMES = Object.keys(CONFIGS) as readonly AgentSettings['runtime'][];
export const AUTHS: readonly AgentSettings['auth'][] = ['none', 'bearer', 'hmac'];

const isText = (value: unknown): boolean =>
  (typeof value === 'string' && value !== '' && value.length <= 16_384) ||
  (Array.isArray(value) && value.length <= 64 && value.every((one) => typeof one === 'string'));

/** In what `config` is not as its runtime wants it. */
export function configProblems(runtime: AgentSettings['runtime'], config: unknown): readonly Problem[] {
  if (!isObject(config)) return [{ pointer: '/config', detail: 'is an object' }];
  const { required, optional } = CONFIGS[runtime];
  const known = [...required, ...optional];
  const problems: Problem[] = [];
  for (const key of required)
    if (config[key] === undefined)
      problems.push({ pointer: `/config/${key}`, detail: `the runtime ${runtime} needs it` });
  for (const [key, value] of Object.entries(config)) {
    const pointer = `/config/${pointerToken(key)}`;
    if (!known.includes(key))
      problems.push({ pointer, detail: `the runtime ${runtime} knows no such key: it takes ${known.join(', ')}` });
    else if (!isText(value)) problems.push({ pointer, detail: 'is a text, or a list of texts' });
    else if (/url$/i.test(key) && !URL.canParse(String(value))) problems.push({ pointer, detail: 'is a URL' });
  }
  return problems;
}

/** @throws Rejected `agent.invalid` with a pointer for each problem. */
export function refuseProblems(problems: readonly Problem[]): void {
  if (problems.length > 0)
    throw new Rejected(
      'invalid',
      'agent.invalid',
      'The agent cannot be saved like this; "errors" says what to change.',
      { problems },
    );
}
