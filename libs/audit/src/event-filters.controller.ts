import { applyDecorators } from '@nestjs/common';
import { ApiQuery } from '@nestjs/swagger';

import { TIMES } from '#libs/event-index/src/event-query.js';

/** Describes what events can be searched by, for every route that does. */
export const EventFilters = () =>
  applyDecorators(
    ApiQuery({
      name: 'view',
      required: false,
      description: 'Name of a saved view (GET /api/v1/event-views): its filters count where no other is given.',
    }),
    ApiQuery({ name: 'type', required: false, description: 'Name, glob (`pr.*`) or `*`; several with commas.' }),
    ApiQuery({ name: 'source', required: false, description: 'Name or glob.' }),
    ApiQuery({ name: 'subject', required: false, description: 'Name or glob: `repository/acme/*`.' }),
    ApiQuery({ name: 'correlation', required: false, description: 'Id of the first event of a story.' }),
    ApiQuery({
      name: 'by',
      required: false,
      enum: [...TIMES],
      description:
        'What `from` and `to` are compared with: when the server received the event (default), or the `timestamp` that its source gives.',
    }),
    ApiQuery({ name: 'from', required: false, description: 'RFC 3339, inclusive.' }),
    ApiQuery({ name: 'to', required: false, description: 'RFC 3339, exclusive.' }),
    ApiQuery({ name: 'fromPosition', required: false, description: 'Inclusive.' }),
    ApiQuery({ name: 'toPosition', required: false, description: 'Inclusive.' }),
    ApiQuery({
      name: 'actor',
      required: false,
      description: 'Who caused it, name or glob: `token/tok_…`, `integration/*`.',
    }),
    ApiQuery({
      name: 'text',
      required: false,
      description: 'Words, at most 10. Each must stand in a text of the data, at any depth, in upper or lower case.',
    }),
    ApiQuery({ name: 'filter', required: false, description: "JMESPath over the event: `data.branch == 'main'`." }),
  );
