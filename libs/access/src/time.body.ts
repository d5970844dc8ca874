import { ValidateBy } from 'class-validator';

import { parseTime } from '#libs/kernel/src/time/times.js';

/** A field of a request's body that is a time, as {@link parseTime} reads it. */
export const IsTime = (): PropertyDecorator =>
  ValidateBy({
    name: 'isTime',
    validator: {
      validate: (value) => typeof value === 'string' && parseTime(value) !== undefined,
      defaultMessage: () => 'must be an RFC 3339 time such as 2026-11-20T13:00:00Z',
    },
  });
