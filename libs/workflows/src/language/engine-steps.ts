import { type TObject, Type } from '@sinclair/typebox';

import { catalogue, isSystemType } from '#libs/events/src/catalogue.js';

/** What `uses:` may name besides the step library: steps that append to the log, in one append with the run's progress. */
export interface EngineStep {
  readonly kind: 'emit' | 'redeliver';
  readonly description: string;
  readonly inputSchema: TObject;
}

export const engineSteps: Readonly<Record<string, EngineStep>> = {
  emit: {
    kind: 'emit',
    description: 'Appends an event of a known type, which rules, webhooks and other workflows may listen to.',
    inputSchema: Type.Object(
      {
        type: Type.String({ minLength: 1, description: 'A type of the catalogue, such as webhook.exhausted.' }),
        subject: Type.Optional(Type.String({ minLength: 1, description: 'What it is about. Default: the run.' })),
        data: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: "Fits the type's schema." })),
      },
      { additionalProperties: false },
    ),
  },
  redeliver_webhook: {
    kind: 'redeliver',
    description:
      'Asks for another attempt of a delivery and waits for its outcome: { delivered, attempt, status?, failureClass?, retryable }.',
    inputSchema: Type.Object(
      {
        delivery: Type.String({
          pattern: '^del_[0-9a-z]{26}$',
          description: 'del_…',
          expected: 'the id of a delivery, del_…',
        }),
        after: Type.Optional(
          Type.String({
            pattern: '^\\d{1,12}(ms|s|m|h|d)$',
            description: 'Counted from the failure before. Default: at once.',
            expected: 'a duration such as 30s or 5m',
          }),
        ),
      },
      { additionalProperties: false },
    ),
  },
};

/**
 * Types that `emit` may append: ordinary ones that tell about the world. What stages record about their own work is
 * theirs alone, since they would believe it: a forged `webhook.delivered` would end retries.
 */
export const emittable = (): readonly string[] =>
  Object.keys(catalogue)
    .filter((type) => !isSystemType(type) && !OWNED.some((pattern) => pattern.test(type)))
    .sort();

const OWNED = [/^workflow\./, /^agent\./, /^issue\./, /^webhook\.(delivered|failed|disabled|test)$/, /^schedule\./];
