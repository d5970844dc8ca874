import { describe, expect, it } from '@jest/globals';
import { Ajv } from 'ajv';

import { catalogue, type EventType, isExportable, isSystemType, shownDefinition, shownPart } from './catalogue.js';

const ajv = new Ajv({ strict: false, allErrors: true });

describe('the catalogue', () => {
  it.each(Object.keys(catalogue) as EventType[])('%s has an example that satisfies its schema', (type) => {
    const { data, example } = catalogue[type];
    const validate = ajv.compile(data);
    expect({ valid: validate(example), errors: validate.errors }).toEqual({ valid: true, errors: null });
  });

  it.each(Object.keys(catalogue) as EventType[])('%s says what it means in a sentence', (type) => {
    expect(catalogue[type].description).toMatch(/^[A-Z].*\.$/s);
  });

  it('keeps what the engine tells about itself out of the pattern *', () => {
    expect(isSystemType('integration.created')).toBe(true);
    expect(isSystemType('git.push')).toBe(false);
    expect(isSystemType('webhook.received')).toBe(false);
  });

  it('shows neither secrets nor what is for the engine alone, and exports only the latter', () => {
    const { data, example } = shownDefinition('webhook.delivered');
    expect(Object.keys(data.properties)).not.toEqual(expect.arrayContaining(['request']));
    expect(shownPart('webhook.delivered')!(catalogue['webhook.delivered'].example)).toEqual(example);
    expect([example, shownDefinition('token.created').example]).toEqual([
      expect.not.objectContaining({ response: expect.anything() }),
      expect.not.objectContaining({ hash: expect.anything() }),
    ]);
    expect(['webhook.delivered', 'token.created', 'git.push', 'own.type'].map(isExportable)).toEqual([
      true,
      false,
      true,
      true,
    ]);
  });
});
