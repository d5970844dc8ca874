import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiQuery, ApiResponse } from '@nestjs/swagger';
import { type TSchema, Type } from '@sinclair/typebox';

/** A JSON Schema as the decorators of @nestjs/swagger take one; the API's description puts named ones in one place. */
const schemaOf = (shape: TSchema) => shape as object;

/** Describes the body that a route takes by its shape. The code that reads the body checks it. */
export const Takes = (shape: TSchema) => ApiBody({ schema: schemaOf(shape) });

/** Describes what a route answers by its shape. */
export const Answers = (shape: TSchema, status = 200) => ApiResponse({ status, schema: schemaOf(shape) });

/** Describes the parameters of a list. */
export const Paged = () =>
  applyDecorators(
    ApiQuery({ name: 'limit', required: false, description: 'At most 200; default 50.' }),
    ApiQuery({ name: 'cursor', required: false, description: '`nextCursor` of the previous page.' }),
  );

/** Describes a route that answers a page of a list of things that look so. */
export function AnswersPage(shape: TSchema) {
  const page = Type.Object(
    {
      data: Type.Array(shape),
      nextCursor: Type.Unsafe<string | null>({
        type: ['string', 'null'],
        description: 'Pass it as `cursor` to get the next page; null on the last page.',
      }),
    },
    { $id: `${shape.$id!.replace(/Answer$/, '')}Page` },
  );
  return applyDecorators(Paged(), Answers(page));
}
