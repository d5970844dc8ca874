import { describe, expect, it } from '@jest/globals';

import type { LogLevel } from './config.js';
import { createLog } from './logging.js';

/** What a log writes: each line parsed. */
function written(use: (log: ReturnType<typeof createLog>) => void, level: LogLevel = 'info') {
  const lines: string[] = [];
  use(createLog(level, { write: (line) => void lines.push(line) }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('the log', () => {
  it('is lines of JSON with level, time and message', () => {
    const [line] = written((log) => log.warn({ queue: 'workflows.run', key: 'run_1' }, 'slow'));
    expect(line).toMatchObject({ level: 'warn', msg: 'slow', queue: 'workflows.run', key: 'run_1' });
    expect(line!['time']).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
  });

  it('hides what is called a secret, some levels down too', () => {
    const text = JSON.stringify(
      written((log) =>
        log.info({ token: 'hunter2', headers: { authorization: 'hunter2' }, a: { b: { password: 'hunter2' } } }, 'x'),
      ),
    );
    expect(text).not.toContain('hunter2');
    expect(text).toContain('[hidden]');
  });

  it('tells of an error what happened and where, with its causes, and nothing that hangs on it', () => {
    const cause = Object.assign(new Error('connection lost'), { code: 'ECONNRESET' });
    const error = Object.assign(new Error('query failed', { cause }), {
      parameters: ['hunter2'],
      config: { headers: { 'x-api-key': 'hunter2' } },
    });
    for (const name of ['err', 'error']) {
      const [line] = written((log) => log.error({ [name]: error }, 'x'));
      expect(line![name]).toMatchObject({
        type: 'Error',
        message: 'query failed',
        stack: expect.stringContaining('logging.spec'),
        cause: { message: 'connection lost', code: 'ECONNRESET' },
      });
      expect(JSON.stringify(line)).not.toContain('hunter2');
    }
  });

  it('ends with causes that go round in a circle', () => {
    const error = new Error('round') as Error & { cause?: unknown };
    error.cause = error;
    expect(written((log) => log.error({ err: error }, 'x'))).toHaveLength(1);
  });

  it('says nothing below its level', () => {
    expect(written((log) => log.info({}, 'x'), 'warn')).toEqual([]);
  });
});
