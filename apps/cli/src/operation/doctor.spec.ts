import { describe, expect, it } from '@jest/globals';

import { FakeShell } from '../../testing/fake-shell.js';
import { EXIT, ServerSaidNo, Unreachable } from '../failures.js';
import { doctor } from './doctor.js';

const follower = (name: string, more: object = {}) => ({ name, lag: 0, lagSeconds: 0, parked: 0, ...more });
const well = {
  'GET /healthz': { status: 'alive' },
  'GET /readyz': { status: 'ready', reasons: [] },
  'GET /api/v1/subscribers': { data: [follower('rules.decide')] },
};

describe('doctor', () => {
  it('says that all is well', async () => {
    const shell = new FakeShell(well);
    expect(await doctor(shell)).toBe(0);
    expect(shell.out).toEqual([
      'CHECK | RESULT | DETAIL',
      'server | ok | it answers',
      'ready | ok | it is ready for requests',
      'token | ok | it is valid',
      'log | ok | everything follows it',
      'parked events | ok | there are none',
    ]);
  });

  it('names what is behind, and what is parked', async () => {
    const data = [follower('rules.decide', { lag: 9, lagSeconds: 60 }), follower('issues.open', { parked: 2 })];
    const shell = Object.assign(new FakeShell({ ...well, 'GET /api/v1/subscribers': { data } }), { quiet: true });
    expect(await doctor(shell)).toBe(EXIT.no);
    expect(shell.out.slice(1)).toEqual([
      'log | failed | rules.decide is 9 events behind, for 60 s',
      'parked events | failed | issues.open has 2',
    ]);
  });

  it('says what the server refused', async () => {
    const shell = Object.assign(
      new FakeShell({
        ...well,
        'GET /readyz': new ServerSaidNo(503, 'http.503', 'The answer was 503.'),
        'GET /api/v1/subscribers': new ServerSaidNo(401, 'token.missing', 'Send a token.'),
      }),
      { json: true },
    );
    expect(await doctor(shell)).toBe(EXIT.no);
    expect(JSON.parse(shell.out[0]!)).toEqual([
      { check: 'server', ok: true, detail: 'it answers' },
      { check: 'ready', ok: false, detail: 'The answer was 503.' },
      { check: 'token', ok: false, detail: 'Send a token.' },
    ]);
  });

  it('ends as other commands do when no server answers', async () => {
    await expect(doctor(new FakeShell({ 'GET /healthz': new Unreachable('nobody') }))).rejects.toThrow('nobody');
  });
});
