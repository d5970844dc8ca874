import { readdirSync, readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { mapAt } from '#libs/events/src/personal/field-path.js';
import { compilePersonal, personalProblems } from '#libs/expressions/src/personal/personal-fields.js';
import type { Json } from '#libs/kernel/src/json.js';
import { BodyFault, mediaTypeOf, parseBody } from '#libs/plugin-sdk/src/body/inbound-body.js';
import { headersOf, parseHttpFile } from '#libs/plugin-sdk/src/http-file.js';
import { readable } from '#libs/plugin-sdk/testing/readable.js';

import { builtInProviders } from './built-in.js';

const now = new Date('2026-11-30T00:00:00Z');
const providers = builtInProviders.providers!.filter(({ personal }) => personal !== undefined);
const folderOf = (name: string) => new URL(`../fixtures/${name}/`, import.meta.url);

const cases = providers.flatMap((provider) =>
  readdirSync(folderOf(provider.name))
    .filter((file) => file.endsWith('.http'))
    .map((file) => [provider.name, file] as const),
);

interface Stored {
  readonly type: string;
  readonly subject: string;
  readonly source: string;
  readonly data: Readonly<Record<string, Json>>;
}

/** What the fixture becomes, as it is stored. */
function eventsOf(name: string, file: string): readonly Stored[] {
  const provider = providers.find((one) => one.name === name)!;
  const saved = parseHttpFile(readFileSync(new URL(file, folderOf(name))));
  const headers = headersOf(saved);
  const contentType = mediaTypeOf(headers['content-type']);
  const request = { headers, rawBody: saved.body, query: {}, contentType, sourceIp: '127.0.0.1' };
  const body = parseBody(request, provider.anyBody);
  if (body instanceof BodyFault) throw new Error(body.code);
  const { value } = body.values[0]!;
  const { events } = readable(
    provider.normalise({ value, kind: body.kind, request }, { secrets: [], config: {}, now }),
  );
  return events.map(({ type, subject, data }) => ({
    type,
    subject,
    source: name,
    data: { ...data, payload: value },
  }));
}

describe('the personal fields that providers list', () => {
  it('are listed by GitHub, GitLab, Slack and Bot Framework, and are valid', () => {
    expect(providers.map(({ name }) => name).sort()).toEqual(['botframework', 'github', 'gitlab', 'slack']);
    for (const { personal } of providers) expect(personalProblems(personal!, '/personal')).toEqual([]);
  });

  it.each(cases)('%s %s: nothing that names its people is left', (name, file) => {
    const personalIn = compilePersonal(providers.find((one) => one.name === name)!.personal!);
    for (const event of eventsOf(name, file)) {
      const parts = personalIn(event);
      const people = parts.flatMap(({ subjects }) => subjects);
      if (event.data['author'] !== undefined) expect(people).not.toEqual([]);
      const left = parts
        .flatMap(({ fields }) => fields)
        .reduce<unknown>((data, path) => mapAt(data, path, () => 'encrypted'), event.data);
      // Short names are parts of other words.
      for (const person of people.filter((id) => id.length > 4)) expect(JSON.stringify(left)).not.toContain(person);
    }
  });
});
