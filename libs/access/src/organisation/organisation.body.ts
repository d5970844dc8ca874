import { type Static, Type } from '@sinclair/typebox';

import { closed } from '#libs/events/src/shapes/fields.js';

const name = Type.String({ minLength: 1, maxLength: 100, expected: '1 to 100 characters', examples: ['Acme'] });

/** What is sent to create an organisation. */
export const NewOrganisation = closed({ name }, { $id: 'NewOrganisation' });

/** What is sent to change one. */
export const OrganisationChanges = closed(
  {
    name: Type.Optional(name),
    archived: Type.Optional(
      Type.Boolean({
        expected: 'true or false',
        description:
          'For admins of the installation. While it is archived, its tokens are refused and nothing new begins.',
      }),
    ),
  },
  { $id: 'OrganisationChanges' },
);

const answer = {
  id: Type.String({ examples: ['org_01jq5x1d0wkz4s3v2n8m7b6c5a'] }),
  name: Type.String(),
  createdAt: Type.String({ format: 'date-time' }),
  createdBy: Type.String({ description: 'Who created it.' }),
  archived: Type.Boolean(),
};

export const OrganisationAnswer = Type.Object(answer, { $id: 'OrganisationAnswer' });
export type OrganisationAnswer = Static<typeof OrganisationAnswer>;

export const CreatedOrganisation = Type.Object(
  {
    ...answer,
    tokenId: Type.String({ description: 'Of its first admin token.' }),
    token: Type.String({ description: 'The first admin token: shown in this answer only.', examples: ['mr_…'] }),
  },
  { $id: 'CreatedOrganisation' },
);
export type CreatedOrganisation = Static<typeof CreatedOrganisation>;
