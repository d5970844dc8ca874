import { describe, expect, it } from '@jest/globals';

import { EVERY } from '#libs/events/src/personal/field-path.js';

import { compilePersonal, fieldPath, personalProblems } from './personal-fields.js';

const event = {
  type: 'webhook.received',
  source: 'crm',
  subject: 'contact/7',
  data: {
    payload: {
      user: 'jane@acme.example',
      number: 42,
      commits: [{ author: { email: 'a@x' } }, { author: { email: 'b@x' } }],
    },
  },
};

describe('declared personal fields', () => {
  it('find the people of an event and their fields', () => {
    const personalIn = compilePersonal([
      { subject: 'data.payload.user', fields: ['data.payload.name', 'data.payload."e-mail"'] },
      { subject: 'data.payload.commits[].author.email', fields: ['data.payload.commits[*].author', 'data.payload.*'] },
      { subject: 'data.payload.number', fields: ['data.message'] },
      { subject: 'data.payload.nobody', fields: ['data.message'] },
    ]);
    expect(personalIn(event)).toEqual([
      {
        subjects: ['jane@acme.example'],
        fields: [
          ['payload', 'name'],
          ['payload', 'e-mail'],
        ],
      },
      {
        subjects: ['a@x', 'b@x'],
        fields: [
          ['payload', 'commits', EVERY, 'author'],
          ['payload', EVERY],
        ],
      },
      { subjects: ['42'], fields: [['message']] },
    ]);
  });

  it('reads [] as [*]', () => {
    expect(fieldPath('data.payload.commits[].author.email')).toEqual(['payload', 'commits', EVERY, 'author', 'email']);
  });

  it.each([
    ['payload.user', 'column 1: Must begin with "data.".'],
    ['data', 'column 1: Must name a field of data'],
    ['data.payload.list[0]', 'Must be a path: nothing is computed here.'],
    ['length(data.payload)', 'column 1: Must be a path'],
    ['data.payload.list[?a]', 'Must be a path'],
    ['data.payload | user', 'Must be a path'],
    ['data.', 'column'],
  ])('refuses the field %s with its place and what to write', (field, detail) => {
    const [problem] = personalProblems([{ subject: 'data.id', fields: ['data.ok', field] }], '/personal');
    expect(problem).toMatchObject({ pointer: '/personal/0/fields/1', detail: expect.stringContaining(detail) });
  });

  it.each([['data.['], ['data.payload.user == "jane"'], ['!data.payload.user']])(
    'refuses the subject %s',
    (subject) => {
      const problems = personalProblems([{ subject, fields: ['data.ok'] }], '/personal');
      expect(problems).toMatchObject([{ pointer: '/personal/0/subject', detail: expect.stringContaining('column') }]);
    },
  );

  it('finds nobody where the expression costs too much', () => {
    const many = { ...event, data: { list: Array.from({ length: 300_000 }, (_, n) => n) } };
    const costly = 'data.list[?@ > `1`] | sort(@) | reverse(@) | sort(@) | reverse(@) | map(&to_string(@), @)';
    expect(compilePersonal([{ subject: costly, fields: ['data.x'] }])(many)).toEqual([]);
  });
});
