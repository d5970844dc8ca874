import { describe, expect, it } from '@jest/globals';

import { type Service, told } from './history.js';

/*
 * The scenarios of the conformance kit of Serverless Workflow that call a service, in this language. A double stands for
 * the service; the request is that of the real step.
 */

const PETS = [
  { id: 1, name: 'Rex', status: 'available' },
  { id: 2, name: 'Tom', status: 'sold' },
];
const API = {
  host: 'pets.example.com',
  basePath: '/v2',
  paths: {
    '/pet/findByStatus': { get: { operationId: 'findPetsByStatus' } },
    '/pet/{petId}': { get: { operationId: 'getPetById' } },
  },
};

const petStore: Service = ({ url, headers }) => {
  const { pathname, searchParams } = new URL(url);
  if (pathname === '/v2/swagger.json') return API;
  if (pathname === '/v2/pet/findByStatus') return PETS.filter(({ status }) => status === searchParams.get('status'));
  if (pathname === '/basic-auth')
    return headers['authorization'] === `Basic ${Buffer.from('conformance:test').toString('base64')}` ? {} : 401;
  return PETS.find(({ id }) => pathname === `/v2/pet/${id}`) ?? { status: 404, body: { message: 'Pet not found' } };
};
const run = (yaml: string, inputs: Readonly<Record<string, unknown>> = {}) => told({ yaml, inputs, service: petStore });

const INPUTS = 'triggers: [{ type: manual, inputs: { petId: { type: number }, status: { type: string } } }]';
const getPet = (id = 'get_pet', pet = '${{ inputs.petId }}') =>
  `{ id: ${id}, uses: http, with: { url: "https://pets.example.com/v2/pet/${pet}" } }`;
const findPets = `
  - id: find
    uses: http
    with: { url: "https://pets.example.com/v2/pet/findByStatus", query: { status: "\${{ inputs.status }}" } }`;

describe('call http', () => {
  it('the output is a part of the answer', async () => {
    const { outputs, calls } = await run(
      `name: find\n${INPUTS}\nsteps:${findPets}\noutputs: { pet: "\${{ steps.find.output.body[0] }}" }\n`,
      { status: 'available' },
    );
    expect(outputs).toEqual({ pet: PETS[0] });
    expect(calls).toEqual(['GET https://pets.example.com/v2/pet/findByStatus?status=available']);
  });

  it('or all of it, and the timeline shows the request', async () => {
    const { outputs, events } = await run(
      `name: get\n${INPUTS}\nsteps: [${getPet()}]\noutputs: { answer: "\${{ steps.get_pet.output }}" }\n`,
      { petId: 1 },
    );
    expect(outputs).toEqual({
      answer: { status: 200, headers: { 'content-type': 'application/json' }, body: PETS[0] },
    });
    const started = events.find((event) => event.is('run.step_started'));
    expect(started?.data).toMatchObject({ input: { url: 'https://pets.example.com/v2/pet/1' } });
  });

  it('signs in with a user name and a password', async () => {
    const login = (password: string) =>
      run(
        `
name: login
triggers: [{ type: manual, inputs: { username: { type: string }, password: { type: string } } }]
steps:
  - id: login
    uses: http
    with:
      url: https://pets.example.com/basic-auth
      auth: { username: "\${{ inputs.username }}", password: "\${{ inputs.password }}" }
`,
        { username: 'conformance', password },
      );
    expect((await login('test')).status).toBe('completed');
    expect((await login('wrong')).error).toMatchObject({ type: 'authentication', code: 'http.status' });
  });
});

/** An operation of an API is a method and a path; where the API is, its own document says. */
describe('call openapi', () => {
  const document = '{ id: api, uses: http, with: { url: "https://pets.example.com/v2/swagger.json" } }';
  const base = 'https://${{ steps.api.output.body.host }}${{ steps.api.output.body.basePath }}';

  it('the output is a part of the answer', async () => {
    const { outputs, calls } = await run(
      `
name: find
${INPUTS}
steps:
  - ${document}
  - { id: find, uses: http, with: { url: "${base}/pet/findByStatus", query: { status: "\${{ inputs.status }}" } } }
outputs: { found: "\${{ length(steps.find.output.body) }}" }
`,
      { status: 'available' },
    );
    expect(outputs).toEqual({ found: 1 });
    expect(calls).toHaveLength(2);
  });

  it('or all of it', async () => {
    const { outputs } = await run(
      `
name: get
${INPUTS}
steps:
  - ${document}
  - { id: get, uses: http, with: { url: "${base}/pet/\${{ inputs.petId }}" } }
outputs: { answer: "\${{ steps.get.output }}" }
`,
      { petId: 2 },
    );
    expect(outputs).toMatchObject({ answer: { status: 200, body: PETS[1] } });
  });
});

describe('data flow', () => {
  it('a step takes a part of the input', async () => {
    const { outputs } = await run(
      `
name: player
triggers: [{ type: manual, inputs: { user: { type: string } } }]
steps: [{ uses: set, with: { player: "\${{ inputs.user.claims.subject }}" } }]
outputs: { player: "\${{ vars.player }}" }
`,
      { user: { claims: { subject: '6AsnRg' } } },
    );
    expect(outputs).toEqual({ player: '6AsnRg' });
  });

  it('a step gives a part of its output', async () => {
    const { outputs } = await run(
      `name: id\n${INPUTS}\nsteps: [${getPet()}]\noutputs: { id: "\${{ steps.get_pet.output.body.id }}" }\n`,
      { petId: 1 },
    );
    expect(outputs).toEqual({ id: 1 });
  });

  it('a value need not be an object, and later steps combine those of earlier ones', async () => {
    const { outputs } = await run(
      `
name: ids
${INPUTS}
steps:
  - ${getPet('first')}
  - ${getPet('second', '2')}
  - { id: ids, uses: transform, with: { expression: "[steps.first.output.body.id, steps.second.output.body.id]" } }
outputs: { ids: "\${{ steps.ids.output }}" }
`,
      { petId: 1 },
    );
    expect(outputs).toEqual({ ids: [1, 2] });
  });
});

describe('try', () => {
  const caught = (status: number) =>
    run(
      `
name: try
triggers: [{ type: manual, inputs: { petId: { type: number } } }]
steps:
  - { id: get_pet, onError: continue, uses: http, with: { url: "https://pets.example.com/v2/pet/\${{ inputs.petId }}" } }
  - id: catch
    if: steps.get_pet.status == 'failed'
    switch:
      - if: steps.get_pet.error.type == 'communication' && steps.get_pet.output.status == \`${status}\`
        steps: [{ uses: set, with: { error: "\${{ steps.get_pet.error }}" } }]
      - else: true
        steps: [{ uses: fail, with: { code: "pet.not_read", message: "\${{ steps.get_pet.error.message }}" } }]
outputs: { error: "\${{ vars.error }}" }
`,
      { petId: 99 },
    );

  it('an error that is caught lets the run go on, and says what it is and where it comes from', async () => {
    const { status, outputs } = await caught(404);
    expect(status).toBe('completed');
    expect(outputs).toEqual({
      error: {
        type: 'communication',
        code: 'http.status',
        message: 'The receiver answered the GET request with 404.',
        path: 'get_pet',
      },
    });
  });

  it('an error that nothing catches fails the run', async () => {
    const { status, error } = await caught(503);
    expect(status).toBe('failed');
    expect(error).toMatchObject({ code: 'pet.not_read', message: 'The receiver answered the GET request with 404.' });
  });
});
