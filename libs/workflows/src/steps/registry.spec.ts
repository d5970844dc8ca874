import { describe, expect, it } from '@jest/globals';

import { catalogue } from '#libs/events/src/catalogue.js';

import { testDefinitions } from '../../testing/library.js';
import { triggerKinds } from '../triggers/registry.js';
import { keywordKinds, requestOutcomes, stepEvents, stepEventTypes, stepKinds } from './registry.js';
import { StepLibrary } from './step-library.js';

describe('the registry of step kinds', () => {
  it('names each kind of step and trigger once', () => {
    for (const names of [stepKinds, triggerKinds].map((kinds) => kinds.map(({ name }) => name)))
      expect(new Set(names).size).toBe(names.length);
  });

  it('has one meaning for each event, whichever kinds record it', () => {
    for (const { events = {} } of stepKinds)
      for (const [type, event] of Object.entries(events)) expect(stepEvents.get(type)).toBe(event);
  });

  it('has only events that say which step they are about', () => {
    const without = [...stepEvents.keys()].filter(
      (type) => !('path' in catalogue[type as keyof typeof catalogue].data.properties),
    );
    expect(without).toEqual([]);
  });

  it('says what is written where no attempts are made, and what besides where they are', () => {
    const without = stepEventTypes('without attempts');
    expect(without).toEqual(expect.arrayContaining(['run.branch_taken', 'run.step_awaiting', 'webhook.exhausted']));
    expect(stepEventTypes('with attempts').filter((type) => !without.includes(type))).toEqual([
      'run.step_started',
      'run.step_resumed',
    ]);
  });

  it('awaits what may be the outcome of a request', () => {
    expect(requestOutcomes).toEqual(expect.arrayContaining(['webhook.delivered', 'webhook.failed', 'action.refused']));
    expect(new Set(requestOutcomes).size).toBe(requestOutcomes.length);
  });

  it('gives each keyword a shape that requires it', () => {
    for (const { name, shape } of keywordKinds) expect(shape.required).toContain(name);
  });
});

describe('the step library', () => {
  const named = (name: string) => testDefinitions.map((step) => ({ ...step, name }));

  it.each(['emit', 'redeliver_webhook', 'dispatch_agent', 'send_message'])(
    'keeps the name %s from plug-ins',
    (name) => {
      expect(() => new StepLibrary(named(name).slice(0, 1))).toThrow(`There are two steps named "${name}"`);
    },
  );

  it('refuses two steps of one name', () => {
    expect(() => new StepLibrary(named('mine'))).toThrow('There are two steps named "mine"');
  });
});
