import { describe, expect, it } from '@jest/globals';

import { describeFailure, failureOf } from './failures.js';

const withCode = (code: string, message = '') => Object.assign(new Error(message), { code });

describe('the class of a failed call', () => {
  it.each([
    ['ENOTFOUND', 'dns'],
    ['EAI_AGAIN', 'dns'],
    ['ECONNREFUSED', 'connect'],
    ['ECONNRESET', 'connect'],
    ['EPIPE', 'connect'],
    ['EHOSTUNREACH', 'connect'],
    ['HPE_INVALID_CONSTANT', 'connect'],
    ['ETIMEDOUT', 'timeout'],
    ['CERT_HAS_EXPIRED', 'tls'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'tls'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'tls'],
    ['EPROTO', 'tls'],
  ])('follows from the code %s: %s', (code, failureClass) =>
    expect(failureOf(withCode(code))).toEqual({ failureClass, code }),
  );

  it('is found in the cause where the outer error has no code', () =>
    expect(failureOf(new Error('wrapped', { cause: withCode('ENOTFOUND') })).failureClass).toBe('dns'));

  it('is never taken from the message', () => {
    expect(failureOf(withCode('ECONNRESET', 'certificate timeout ENOTFOUND')).failureClass).toBe('connect');
    expect(failureOf(new Error('ENOTFOUND')).failureClass).toBe('connect');
    expect(failureOf('ENOTFOUND')).toEqual({ failureClass: 'connect', code: 'UNKNOWN' });
  });

  it('is described without repeating the message', () => {
    const error = withCode('ECONNRESET', 'Bearer s3cret');
    const { failureClass, code } = failureOf(error);
    expect(describeFailure(failureClass, code)).toBe('the connection failed or was cut off (ECONNRESET)');
  });
});
