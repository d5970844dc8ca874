import { setTimeout as sleep } from 'node:timers/promises';

import type { Provider } from '#libs/plugin-sdk/src/define-provider.js';

import { type Target, targets as good } from './corpus.js';

/** Providers that are wrong in ways that a fuzzer has to notice: what the fuzzer itself is tested with. */
const [base] = good().filter(({ name }) => name === 'generic_webhook') as [Target];
const broken = (name: string, wrong: Partial<Provider>): Target => ({
  ...base,
  name,
  provider: { ...base.provider, ...wrong },
});
const normalise = base.provider.normalise;

export const targets = (): readonly Target[] => [
  broken('right', {}),
  broken('throws', {
    normalise: (body, context) => {
      if (body.value === null) throw new Error('null is not an object');
      return normalise(body, context);
    },
  }),
  broken('hangs', {
    normalise: (body, context) => {
      while (body.value === null);
      return normalise(body, context);
    },
  }),
  broken('believes', { verify: () => ({ ok: true, authentication: 'none' }) }),
  broken('exits', {
    verify: (request, context) => {
      if (request.rawBody.length === 0) process.exit(3);
      return base.provider.verify(request, context);
    },
  }),
  broken('loses a promise', {
    verify: (request, context) => {
      if (request.rawBody.length === 0) void Promise.reject(new Error('nobody hears me'));
      return base.provider.verify(request, context);
    },
  }),
  broken('is slow', {
    verify: async (request, context) => {
      await sleep(5);
      return base.provider.verify(request, context);
    },
  }),
  broken('invents a type', {
    normalise: () => ({ eventType: 'x', events: [{ type: 'rule.created', subject: 's', data: {} }] }),
  }),
  broken('invents a field', {
    normalise: () => ({ eventType: 'x', events: [{ type: 'git.push', subject: 's', data: {} }] }),
  }),
  broken('refuses what is stored', { respond: () => ({ status: 500, body: '' }) }),
];
