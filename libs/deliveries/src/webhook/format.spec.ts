import { catalogue } from '#libs/events/src/catalogue.js';
import { describe, expect, it } from '@jest/globals';

import { platformEvent } from '#libs/event-store/src/event-store.js';
import { RawJson } from '#libs/event-store/src/new-event.js';
import { eventIdOf } from '#libs/events/src/envelope.js';
import { shownId } from '#libs/events/src/shown-ids.js';
import { WebhookFormat } from '#libs/events/src/shapes/webhook-shape.js';

import { ORG, recorded, START } from '../../testing/given.js';
import { bodyOf, payloadBody } from './format.js';

const event = recorded('deploy.done', { environment: 'staging', n: 1 });
const id = eventIdOf(event.id);
const timestamp = START.toISOString();

const formats = WebhookFormat.anyOf.map(({ const: format }) => format);

describe('the body of a delivery', () => {
  it('in the platform format is the event as the API shows it', () => {
    const { text, contentType } = bodyOf(event, 'platform');
    expect(JSON.parse(text)).toEqual(platformEvent(event));
    expect(contentType).toBe('application/json');
  });

  it('in the compact format has four fields', () => {
    expect(JSON.parse(bodyOf(event, 'compact').text)).toEqual({
      id,
      type: 'deploy.done',
      created_at: timestamp,
      data: { environment: 'staging', n: 1 },
    });
  });

  it('in the standard format is what Standard Webhooks recommends', () => {
    expect(JSON.parse(bodyOf(event, 'standard').text)).toEqual({
      type: 'deploy.done',
      timestamp,
      data: { environment: 'staging', n: 1 },
    });
  });

  it('in the cloudevents format is a structured CloudEvent', () => {
    const { text, contentType } = bodyOf(event, 'cloudevents');
    expect(contentType).toBe('application/cloudevents+json');
    expect(JSON.parse(text)).toEqual({
      specversion: '1.0',
      id,
      source: 'github',
      type: 'deploy.done',
      subject: 'repository/acme/app',
      time: timestamp,
      datacontenttype: 'application/json',
      orgid: ORG,
      data: { environment: 'staging', n: 1 },
    });
  });

  it.each(formats)('in the %s format holds no id at which anybody could send', (format) => {
    const ids = ['int_01jq5x1d0wkz4s3v2n8m7b6c5a', 'agt_01jq5x1d0wkz4s3v2n8m7b6c5b'] as const;
    const given = recorded('deploy.done', { environment: `by ${ids[0]}, then ${ids[1]}`, n: 1 });
    const metadata = { ...given.metadata, subject: `integration/${ids[0]}` };
    const { text } = bodyOf(Object.defineProperty(given, 'metadata', { value: metadata }), format);
    for (const id of ids) {
      expect(text).not.toContain(id);
      expect(text).toContain(shownId(id));
    }
    expect(shownId(ids[0])).toMatch(/^int_[0-9a-z]{26}$/);
  });

  it('of its own has no ids that are addresses either, whatever a template took from the event', () => {
    const id = `int_${'0'.repeat(26)}`;
    const { text } = payloadBody({ event: { subject: `integration/${id}` }, text: `From ${id}.`, [id]: id });
    expect(text).not.toContain(id);
    expect(JSON.parse(text)).toMatchObject({ text: `From ${shownId(id)}.` });
  });

  it.each(formats)('in the %s format leaves out what nobody outside is shown', (format) => {
    const { example } = catalogue['token.created'];
    const { text } = bodyOf(recorded('token.created', example as never), format);
    expect(text).toContain('"name":"ci"');
    expect(text).not.toContain(example.hash);
    const integration = catalogue['integration.created'].example;
    expect(bodyOf(recorded('integration.created', integration as never), format).text).not.toContain(integration.slug);
    const failed = bodyOf(recorded('webhook.failed', catalogue['webhook.failed'].example as never), format).text;
    expect(failed).toContain('"failureClass":"status"');
    expect(failed).not.toMatch(/"request"|"response"|out of order/);
  });

  it.each(formats)(
    'in the %s format leaves out credentials in the headers of a step, and the text of a workflow',
    (format) => {
      const headers = { Authorization: 'Bearer abc-123', 'X-Api-Key': 'abc-123', 'X-Team': 'ops' };
      const input = { url: 'https://example.com', headers };
      const started = recorded('run.step_started', { runId: 'run_1', path: 'a', stepId: 'a', attempt: 1, input });
      const { text } = bodyOf(started, format);
      expect(text).toContain('"X-Team":"ops"');
      expect(text).not.toContain('abc-123');
      expect(started.data).toMatchObject({ input });
      const { example } = catalogue['workflow.saved'];
      expect(bodyOf(recorded('workflow.saved', example as never), format).text).not.toContain('"source":"name');
    },
  );

  it.each(formats)('in the %s format passes on large numbers and repeated keys as they came', (format) => {
    const data = '{"payload":{"big":12345678901234567890,"a":1,"a":2,"text":"é\\u0000"}}';
    const { text } = bodyOf(recorded('webhook.received', new RawJson(data) as never), format);
    expect(text).toContain(`"data":${data}}`);
  });

  it('is the same text every time', () => {
    for (const format of formats) expect(bodyOf(event, format)).toEqual(bodyOf(event, format));
  });

  it('is a payload as it is where an action brings its own', () => {
    expect(payloadBody({ a: [1, null] })).toEqual({ text: '{"a":[1,null]}', contentType: 'application/json' });
    expect(payloadBody('text').text).toBe('"text"');
  });
});
