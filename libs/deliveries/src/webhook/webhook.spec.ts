import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { fold } from '#libs/event-store/src/command-handlers.js';
import type { RecordedEvent } from '#libs/event-store/src/event-store.js';
import type { EventDraft } from '#libs/event-store/src/new-event.js';
import { streams } from '#libs/events/src/streams.js';

import { ORG, recorded, settings, START } from '../../testing/given.js';
import {
  DeleteWebhook,
  DisableWebhook,
  EnableWebhook,
  RecoverWebhook,
  RegisterWebhook,
  RotateWebhookSecret,
  TestWebhook,
  UpdateWebhook,
  disable,
  enable,
  recover,
  register,
  remove,
  rotateSecret,
  test,
  update,
  type Webhook,
  webhook,
} from './webhook.js';

const id = 'whk_00000000000000000000000001';
const author = { orgId: ORG, actor: 'token/tok_1' };
const later = (seconds: number) => new Date(START.getTime() + seconds * 1000);

const asEvents = (drafts: readonly EventDraft[], at = START): RecordedEvent[] =>
  drafts.map(({ type, data }) => recorded(type, data, { stream: streams.webhook(id), at }));
const after = (state: Webhook, drafts: readonly EventDraft[], at = START) => fold(webhook, asEvents(drafts, at), state);
const set = (disabled = false) =>
  after(webhook.initial, register(webhook.initial, new RegisterWebhook(id, author, settings(), 'ref/1', disabled)));
const active = set();
const disabled = set(true);
const deleted = after(active, remove(active, new DeleteWebhook(id, author)));

describe('setting up a webhook', () => {
  it('sends a test along', () => {
    const drafts = register(webhook.initial, new RegisterWebhook(id, author, settings(), 'ref/1', false));
    expect(drafts.map(({ type }) => type)).toEqual(['webhook.registered', 'webhook.test']);
  });

  it('sends none to a webhook that is switched off', () => {
    const drafts = register(webhook.initial, new RegisterWebhook(id, author, settings(), 'ref/1', true));
    expect(drafts.map(({ type }) => type)).toEqual(['webhook.registered']);
    expect(disabled.kind).toBe('disabled');
  });

  it('with the same key again only tests again', () => {
    const drafts = register(active, new RegisterWebhook(id, author, settings(), 'ref/1', false));
    expect(drafts.map(({ type }) => type)).toEqual(['webhook.test']);
  });

  it('with the same key and other settings is refused', () => {
    const other = new RegisterWebhook(id, author, settings({ events: ['pr.*'] }), 'ref/1', false);
    expect(() => register(active, other)).toThrow(expect.objectContaining({ code: 'webhook.exists' }));
  });
});

describe('changing a webhook', () => {
  it('keeps what is not named and takes away what is null', () => {
    const full = after(active, update(active, new UpdateWebhook(id, author, { filter: 'data', timeoutMs: 5 })));
    expect(full).toMatchObject({ settings: { filter: 'data', timeoutMs: 5, url: settings().url } });
    const less = after(full, update(full, new UpdateWebhook(id, author, { filter: null })));
    expect(less).toMatchObject({ settings: settings({ timeoutMs: 5 }) });
    expect((less as { settings: object }).settings).not.toHaveProperty('filter');
  });

  it('to a url on another host asks for the values of its headers again', () => {
    const headers = { names: ['Authorization'], values: 'ref/2' };
    const keeping = after(active, update(active, new UpdateWebhook(id, author, { headers })));
    const moved = (change: object) => update(keeping, new UpdateWebhook(id, author, change));
    for (const url of ['https://evil.example/hook', 'http://example.com/hook', 'https://example.com:8443/hook'])
      expect(() => moved({ url })).toThrow(
        expect.objectContaining({
          code: 'webhook.headers_needed',
          problems: [expect.objectContaining({ pointer: '/headers' })],
        }),
      );
    expect(moved({ url: 'https://example.com/elsewhere' })).toHaveLength(1);
    expect(moved({ url: 'https://evil.example/hook', headers: null })).toHaveLength(1);
    expect(moved({ url: 'https://evil.example/hook', headers: { names: ['X'], values: 'ref/3' } })).toHaveLength(1);
    expect(update(active, new UpdateWebhook(id, author, { url: 'https://other.example/' }))).toHaveLength(1);
  });

  it('to what it is records nothing', () => {
    expect(update(active, new UpdateWebhook(id, author, { url: settings().url }))).toEqual([]);
  });

  it('that is disabled leaves it disabled', () => {
    expect(after(disabled, update(disabled, new UpdateWebhook(id, author, { timeoutMs: 1 }))).kind).toBe('disabled');
  });
});

describe('rotating a secret', () => {
  it('keeps the one before for the time of grace', () => {
    const state = after(active, rotateSecret(active, new RotateWebhookSecret(id, author, 'ref/2', 60), START));
    expect(state).toMatchObject({
      secret: 'ref/2',
      previous: [{ secret: 'ref/1', validUntil: later(60).toISOString() }],
    });
  });

  it('without grace forgets the one before', () => {
    const state = after(active, rotateSecret(active, new RotateWebhookSecret(id, author, 'ref/2', 0), START));
    expect(state).toMatchObject({ secret: 'ref/2', previous: [] });
  });

  it('without grace forgets those whose grace is not over, too', () => {
    const graced = after(active, rotateSecret(active, new RotateWebhookSecret(id, author, 'ref/2', 60), START));
    const state = after(graced, rotateSecret(graced, new RotateWebhookSecret(id, author, 'ref/3', 0), START));
    expect(state).toMatchObject({ secret: 'ref/3', previous: [] });
  });

  it('drops secrets whose grace is over and keeps at most two', () => {
    let state = active;
    for (let i = 2; i <= 5; i++)
      state = after(state, rotateSecret(state, new RotateWebhookSecret(id, author, `ref/${i}`, 60), START));
    expect(state).toMatchObject({ secret: 'ref/5', previous: [{ secret: 'ref/4' }, { secret: 'ref/3' }] });
    state = after(state, rotateSecret(state, new RotateWebhookSecret(id, author, 'ref/6', 60), later(61)));
    expect(state).toMatchObject({ secret: 'ref/6', previous: [{ secret: 'ref/5' }] });
  });

  it('to the same reference, by the same request again, records nothing', () => {
    expect(rotateSecret(active, new RotateWebhookSecret(id, author, 'ref/1', 60), START)).toEqual([]);
  });
});

describe('switching a webhook off', () => {
  const by = (reason: 'manual' | 'gone' | 'failing', failedAt?: Date) =>
    new DisableWebhook(id, author, reason, 'because', failedAt);

  it('is done once', () => {
    expect(disable(active, by('gone', later(1)))).toHaveLength(1);
    expect(disable(disabled, by('gone', later(1)))).toEqual([]);
    expect(disable(disabled, by('manual'))).toEqual([]);
  });

  it('is not done for a failure from before it was last enabled', () => {
    const enabled = after(disabled, enable(disabled, new EnableWebhook(id, author)), later(100));
    expect(disable(enabled, by('gone', later(50)))).toEqual([]);
    expect(disable(enabled, by('gone', later(101)))).toHaveLength(1);
  });

  it('never fails when the engine asks for it', () => {
    expect(disable(webhook.initial, by('gone', later(1)))).toEqual([]);
    expect(disable(deleted, by('failing', later(1)))).toEqual([]);
  });
});

describe('a webhook that is deleted, or never was', () => {
  const commands: readonly [string, (state: Webhook) => unknown][] = [
    ['changed', (state) => update(state, new UpdateWebhook(id, author, {}))],
    ['rotated', (state) => rotateSecret(state, new RotateWebhookSecret(id, author, 'ref/2', 0), START)],
    ['enabled', (state) => enable(state, new EnableWebhook(id, author))],
    ['disabled', (state) => disable(state, new DisableWebhook(id, author, 'manual', ''))],
    ['tested', (state) => test(state, new TestWebhook(id, author))],
    ['recovered', (state) => recover(state, new RecoverWebhook(id, author, START), START)],
  ];
  it.each(commands)('cannot be %s', (_, command) => {
    for (const state of [webhook.initial, deleted])
      expect(() => command(state)).toThrow(expect.objectContaining({ code: 'webhook.not_found' }));
  });

  it('is deleted once', () => {
    expect(remove(deleted, new DeleteWebhook(id, author))).toEqual([]);
    expect(() => remove(webhook.initial, new DeleteWebhook(id, author))).toThrow();
  });
});

describe('recovering', () => {
  it('names the time from which failures are delivered again', () => {
    expect(recover(active, new RecoverWebhook(id, author, START), later(1))).toEqual([
      { type: 'webhook.recovery_requested', data: { webhookId: id, since: START.toISOString() } },
    ]);
  });
  it('is refused for a webhook that is off, and for the future', () => {
    expect(() => recover(disabled, new RecoverWebhook(id, author, START), START)).toThrow(/Enable it/);
    expect(() => recover(active, new RecoverWebhook(id, author, later(9)), START)).toThrow(/in the past/);
  });
});

describe('the state of a webhook', () => {
  it('follows from any sequence of commands without an error but a refusal', () => {
    const step = fc.constantFrom<(state: Webhook, now: Date) => readonly EventDraft[]>(
      (state) => register(state, new RegisterWebhook(id, author, settings(), 'ref/1', false)),
      (state) => update(state, new UpdateWebhook(id, author, { timeoutMs: 7 })),
      (state, now) => rotateSecret(state, new RotateWebhookSecret(id, author, `ref/${now.getTime()}`, 60), now),
      (state) => enable(state, new EnableWebhook(id, author)),
      (state) => disable(state, new DisableWebhook(id, author, 'manual', '')),
      (state, now) => disable(state, new DisableWebhook(id, author, 'failing', '', now)),
      (state) => remove(state, new DeleteWebhook(id, author)),
      (state) => test(state, new TestWebhook(id, author)),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        let state = webhook.initial;
        steps.forEach((decide, index) => {
          try {
            state = after(state, decide(state, later(index)), later(index));
          } catch (error) {
            expect(error).toMatchObject({ name: 'Rejected' });
          }
        });
        expect(['unknown', 'active', 'disabled', 'deleted']).toContain(state.kind);
      }),
    );
  });
});
