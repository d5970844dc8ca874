import { describe, expect, it } from '@jest/globals';
import { NotFoundException } from '@nestjs/common';
import { IsIn, IsNotEmpty, validate } from 'class-validator';

import { WrongRevision } from '#libs/event-store/src/event-store.js';
import { streams } from '#libs/events/src/streams.js';
import { Rejected, type RejectionKind, Transient } from '#libs/kernel/src/errors.js';

import { readJsonBody } from './json-body.js';
import { problemOf } from './problem.js';
import { RouteTable } from './route-table.js';
import { invalidRequest } from './validation.js';

const CODE = /^[a-z_]+(\.[a-z_]+)+$/;

describe('what the domain refuses', () => {
  it.each([
    ['invalid', 422],
    ['unauthenticated', 401],
    ['forbidden', 403],
    ['not_found', 404],
    ['method_not_allowed', 405],
    ['conflict', 409],
    ['too_large', 413],
    ['unsupported', 415],
    ['rate_limited', 429],
  ] as const)('as %s is answered with %i, its code and its words', (kind: RejectionKind, status) => {
    const { body, bug } = problemOf(new Rejected(kind, 'thing.wrong', 'Do it otherwise.'));
    expect(body).toEqual({
      type: 'about:blank',
      title: expect.any(String),
      status,
      code: 'thing.wrong',
      detail: 'Do it otherwise.',
    });
    expect(bug).toBeUndefined();
  });

  it('carries the places of the problems', () => {
    const problems = [{ pointer: '/conditions/all/0', detail: 'has an open quote', line: 3, column: 7 }];
    expect(problemOf(new Rejected('invalid', 'a.b', 'c', { problems })).body.errors).toEqual(problems);
  });

  it('says how long to wait, in whole seconds', () => {
    const limited = (retryAfter?: number) =>
      problemOf(new Rejected('rate_limited', 'a.b', 'c', retryAfter === undefined ? {} : { retryAfter })).headers;
    expect(limited(2.2)['retry-after']).toBe('3');
    expect(limited()['retry-after']).toBe('1');
  });

  it('says how to authenticate, and that a token was wrong only where there was one', () => {
    const challenge = (code: string) =>
      problemOf(new Rejected('unauthenticated', code, 'x')).headers['www-authenticate'];
    expect(challenge('token.missing')).toBe('Bearer realm="millrace"');
    expect(challenge('token.expired')).toBe('Bearer realm="millrace", error="invalid_token"');
  });
});

describe('what goes wrong', () => {
  it('in the JSON of a body says line, column and token', () => {
    let error: unknown;
    try {
      readJsonBody('{\n  "name": ci\n}');
    } catch (thrown) {
      error = thrown;
    }
    const detail = 'Expected a value, found "ci".';
    expect(problemOf(error).body).toMatchObject({
      status: 400,
      code: 'request.malformed',
      detail: `The body must be valid JSON. Line 2, column 11: ${detail}`,
      errors: [{ pointer: '', line: 2, column: 11, detail }],
    });
  });

  it('for a while is 503 with Retry-After, and its cause is for the log alone', () => {
    const cause = new Transient('log.unavailable', 'connect ECONNREFUSED 10.0.0.7:5432');
    const { body, headers, bug } = problemOf(cause);
    expect(body).toMatchObject({ status: 503, code: 'log.unavailable' });
    expect(headers).toEqual({ 'retry-after': '1' });
    expect(JSON.stringify(body)).not.toContain('10.0.0.7');
    expect(bug).toBe(cause);
  });

  it('because somebody else was faster is 409', () => {
    expect(problemOf(new WrongRevision(streams.rule('x'), 1n, 2n)).body).toMatchObject({ status: 409 });
  });

  it.each([new TypeError('cannot read secret of undefined'), 'a string', undefined, null, { odd: 1 }])(
    'by a fault is 500 with a number to find it by, and shows nothing of it: %p',
    (fault) => {
      const { body, bug } = problemOf(fault);
      expect(body).toMatchObject({ status: 500, code: 'server.internal', errorId: expect.stringMatching(/^err_/) });
      expect(body.detail).toContain(body.errorId);
      expect(JSON.stringify(body)).not.toContain('secret');
      expect(bug).toBe(fault);
    },
  );

  it('in the HTTP layer has codes of ours and does not repeat what was sent', () => {
    for (const [statusCode, code] of [
      [400, 'FST_ERR_CTP_INVALID_JSON_BODY'],
      [400, 'FST_ERR_BAD_URL'],
      [413, 'x'],
      [414, 'x'],
      [415, 'x'],
      [431, 'x'],
    ] as const) {
      const error = Object.assign(new Error(`"hunter2" is wrong`), { statusCode, code });
      const { body } = problemOf(error);
      expect(body.status).toBe(statusCode);
      expect(body.code).toMatch(CODE);
      if (statusCode !== 431) expect(body.detail).not.toContain('hunter2');
    }
  });

  it('with a status of 5xx inside the HTTP layer is a fault like any other', () => {
    expect(problemOf(Object.assign(new Error('x'), { statusCode: 502 })).body).toMatchObject({ status: 500 });
  });
});

describe('a route that is not there', () => {
  const routes = new RouteTable();
  routes.add('GET', '/api/v1/rules');
  routes.add(['POST'], '/api/v1/rules');
  routes.add('DELETE', '/api/v1/rules/:id');
  routes.add('POST', '/webhooks/*');
  const ask = (method: string, url: string) => problemOf(routes.explain(new NotFoundException(), method, url)).body;

  it('is told from one that has other methods', () => {
    expect(ask('GET', '/api/v1/nowhere?x=1')).toMatchObject({ status: 404, code: 'route.not_found' });
    expect(ask('PUT', '/api/v1/rules?x=1')).toMatchObject({ status: 405, code: 'route.method_not_allowed' });
    expect(ask('PUT', '/api/v1/rules').detail).toContain('GET, POST');
    expect(ask('GET', '/webhooks/a/b').status).toBe(405);
  });

  it('is not found where a parameter would be empty or would span two parts', () => {
    expect(ask('GET', '/api/v1/rules/a/b').status).toBe(404);
    expect(ask('GET', '/api/v1/rules/x').status).toBe(405);
  });

  it('leaves what a stage says is missing as it says it', () => {
    const own = new Rejected('not_found', 'rule.not_found', 'There is no such rule.');
    expect(routes.explain(own, 'GET', '/api/v1/rules/x')).toBe(own);
  });
});

describe('a body that is invalid', () => {
  it('is answered with a pointer for each problem, also deep inside', () => {
    const { kind, code, problems } = invalidRequest([
      { property: 'name', value: 7, constraints: { isString: 'name must be a string' } },
      { property: 'evnts', value: [], constraints: { whitelistValidation: 'property evnts should not exist' } },
      { property: 'roles', constraints: { isIn: 'x', isArray: 'y' } },
      {
        property: 'actions',
        children: [
          { property: '0', children: [{ property: 'a/b', value: 1, constraints: { isUrl: 'a/b must be a URL' } }] },
        ],
      },
    ]);
    expect({ kind, code }).toEqual({ kind: 'invalid', code: 'request.invalid' });
    expect(problems).toEqual([
      { pointer: '/name', detail: 'Must be a string.', code: 'request.bad_value' },
      { pointer: '/evnts', detail: 'Unknown key "evnts".', code: 'request.unknown_key' },
      { pointer: '/roles', detail: '"roles" is required.', code: 'request.missing_key' },
      { pointer: '/actions/0/a~1b', detail: 'Must be a URL.', code: 'request.bad_value' },
    ]);
  });

  it('names the keys that its class has where one is unknown', async () => {
    class Body {
      @IsNotEmpty()
      event!: string;
      @IsIn(['a', 'b'], { each: true })
      roles!: string[];
    }
    const errors = await validate(Object.assign(new Body(), { evnt: 1, event: '', roles: ['c'] }), {
      whitelist: true,
      forbidNonWhitelisted: true,
    });
    expect(invalidRequest(errors).problems.map(({ pointer, detail }) => `${pointer} ${detail}`)).toEqual([
      '/evnt Unknown key "evnt". Did you mean "event"? Allowed: event, roles.',
      '/event Must not be empty.',
      '/roles Each entry must be one of the following values: a, b.',
    ]);
  });

  it('that is no object at all is told so', () => {
    expect(invalidRequest([{ property: '', constraints: { unknownValue: 'x' } }]).problems).toEqual([
      { pointer: '', detail: 'Must be a JSON object.', code: 'request.bad_value' },
    ]);
  });
});
