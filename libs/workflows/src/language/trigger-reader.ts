import { catalogue } from '#libs/events/src/catalogue.js';
import { globMatcher } from '#libs/events/src/patterns.js';
import { isObject, pointerToken } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/nearest.js';

import type { EventTrigger, InputSpec, ManualTrigger, Trigger } from './definition.js';
import { Expressions } from './expressions-of.js';
import { shallow, UNSUPPORTED } from './grammar.js';
import { problemOfInput } from './inputs.js';
import type { Report } from './report.js';

const eventTypes: readonly string[] = Object.keys(catalogue);
const KINDS = ['event', 'manual'];
const WHEN = {
  roots: ['id', 'type', 'source', 'subject', 'orgId', 'timestamp', 'data', 'event'],
  steps: [],
  inputs: [],
};

/** Types that have branches, and files. */
const WITH_BRANCH = (type: string): boolean => type === 'git.push' || type.startsWith('pr.');

export function readTrigger(value: unknown, pointer: string, report: Report): Trigger | undefined {
  if (!isObject(value)) {
    report.at(pointer, 'workflow.bad_value', 'A trigger is a mapping with a "type".');
    return undefined;
  }
  const type = value['type'];
  const written = typeof type === 'string' ? type : JSON.stringify(type);
  if (type === 'event') return readEvent(value, pointer, report);
  if (type === 'manual') return readManual(value, pointer, report);
  if (type === undefined)
    report.at(pointer, 'workflow.missing_key', `"type" is missing. Allowed: ${KINDS.join(', ')}.`);
  else if ((UNSUPPORTED.trigger as readonly unknown[]).includes(type))
    report.at(
      `${pointer}/type`,
      'workflow.unsupported',
      `Triggers of type "${written}" are not supported yet. Allowed: ${KINDS.join(', ')}.`,
    );
  else
    report.at(
      `${pointer}/type`,
      'workflow.unknown_trigger',
      `There is no trigger type "${written}". ${suggestion(written, KINDS)}Allowed: ${KINDS.join(', ')}.`,
    );
  return undefined;
}

function readEvent(value: Record<string, unknown>, pointer: string, report: Report): EventTrigger | undefined {
  if (!report.fits(shallow.eventTrigger, value, pointer)) return undefined;
  const events = globs(value['event'])!;
  for (const [index, pattern] of events.entries()) {
    const place = Array.isArray(value['event']) ? `${pointer}/event/${index}` : `${pointer}/event`;
    if (!eventTypes.some(globMatcher(pattern)))
      report.at(
        place,
        'workflow.unknown_event_type',
        `No event type fits "${pattern}". ${suggestion(pattern, eventTypes)}GET /api/v1/event-types lists them.`,
      );
  }
  for (const key of ['branches', 'paths'])
    if (
      value[key] !== undefined &&
      !eventTypes.filter((type) => events.some((glob) => globMatcher(glob)(type))).some(WITH_BRANCH)
    )
      report.at(`${pointer}/${key}`, 'workflow.bad_value', `"${key}" goes with git.push and pr.* only.`, true);
  return {
    type: 'event',
    event: events,
    source: globs(value['source']),
    branches: globs(value['branches']),
    paths: globs(value['paths']),
    when:
      value['when'] === undefined
        ? undefined
        : new Expressions(report).condition(value['when'], `${pointer}/when`, WHEN),
  };
}

function readManual(value: Record<string, unknown>, pointer: string, report: Report): ManualTrigger | undefined {
  if (!report.fits(shallow.manualTrigger, value, pointer)) return undefined;
  const inputs: Record<string, InputSpec> = {};
  for (const [name, spec] of Object.entries((value['inputs'] ?? {}) as Record<string, unknown>)) {
    const place = `${pointer}/inputs/${pointerToken(name)}`;
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name))
      report.at(place, 'workflow.bad_value', 'The name of an input has letters, digits and _ only.', true);
    if (!report.fits(shallow.input, spec, place)) continue;
    const input = spec as InputSpec;
    inputs[name] = input;
    if ((input.type === 'select') !== (input.options !== undefined))
      report.at(place, 'workflow.bad_value', 'A select has "options", and nothing else has them.');
    else if (input.default !== undefined) {
      const problem = problemOfInput(input, input.default);
      if (problem) report.at(`${place}/default`, 'workflow.bad_value', problem);
    }
  }
  return { type: 'manual', inputs };
}

function globs(value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined;
  return typeof value === 'string' ? [value] : (value as string[]);
}
