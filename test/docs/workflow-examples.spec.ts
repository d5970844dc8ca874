import { readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { builtInSteps } from '#libs/steps/src/built-in.js';
import { runTests, StepLibrary } from '#libs/workflows/src/trial/run-tests.js';

import { workflowPages } from './workflow-tables.js';

/** A test of each example that `workflows.spec.ts` does not play. */
const TESTS: Readonly<Record<string, string>> = {
  'report-incident': `
    inputs: { webhook: whk_1, reason: It does not answer. }
    expect:
      status: completed
      events: [{ type: incident.opened, data: { webhook: whk_1, reason: It does not answer. } }]`,
  'merge-and-benchmark': `
    event: { type: pr.merged, data: { pullRequest: { number: 7 } } }
    mocks: { benchmark: { delay: 1d }, publish: { output: { outputs: { version: '1.8' } }, delay: 10m } }
    expect:
      outputs: { version: '1.8' }
      steps: [{ id: benchmark, status: completed }, { id: publish }]
      time: 10m
      events:
        - { type: workflow.requested, data: { workflow: benchmark, inputs: { pull: 7 } } }
        - { type: workflow.requested, data: { workflow: publish } }`,
  'triage-outage': `
    event: { type: webhook.exhausted, data: { deliveryId: del_1, webhookId: whk_1, attempts: 6 } }
    mocks:
      triage: { output: { summary: The certificate has expired. }, delay: 1m }
      tell: { output: { channel: C1, messageId: '17.1' } }
    expect:
      outputs: { message: '17.1' }
      steps:
        - { id: triage, with: { input: { webhook: whk_1, attempts: 6 } } }
        - { id: tell, with: { channel: '#ops', text: 'whk_1 does not answer. The certificate has expired.' } }`,
  'release-when-green': `
    event: { type: pr.merged, data: { pullRequest: { number: 7 } } }
    mocks: { ask: { output: { status: 200 } } }
    events:
      - { at: 1m, type: scan.passed, data: { pull: 7 } }
      - { at: 2m, type: comment.created, data: { pullRequest: { number: 7 }, comment: { body: Too early. } } }
      - { at: 3m, type: build.passed, data: { pull: 8 } }
      - { at: 4m, type: build.passed, data: { pull: 7 } }
      - { at: 9m, type: comment.created, data: { pullRequest: { number: 7 }, comment: { body: Go. } } }
    expect: { outputs: { checks: [build.passed, scan.passed], word: Go. }, time: 9m }`,
  'review-with-patience': `
    event: { type: pr.opened, data: { pullRequest: { number: 7 } } }
    mocks: { build: {}, deploy: {} }
    events: [{ at: 2d, type: pr.reviewed, data: { pullRequest: { number: 7 } } }]
    expect: { status: completed, steps: [{ id: build }, { id: reviewed }, { id: deploy }], time: 2d }`,
  'page-on-call': `
    event: { type: webhook.exhausted, data: { deliveryId: del_1, webhookId: whk_1, attempts: 6 } }
    mocks: { page: { output: { status: 200 } } }
    expect: { steps: [{ id: page, with: { body: { webhook: whk_1 } } }] }`,
  'preview-last-push': `
    event: { type: git.push, data: { branch: main } }
    mocks: { build: { output: { status: 200 } } }
    expect: { steps: [{ id: build, with: { body: { branch: main } } }] }`,
  'index-pushes': `
    event:
      - { type: git.push, data: { branch: main, repository: { fullName: acme/app } } }
      - { type: git.push, data: { branch: dev, repository: { fullName: acme/app } } }
    expect: { steps: [{ id: index, output: { message: 'Index 2 pushes, the last to dev' } }] }`,
  'deploy-many': `
    inputs: { version: v12, hosts: [a.example, b.example] }
    expect:
      status: completed
      steps:
        - { id: 'each[0].log_1', output: { message: Deploy v12 to a.example } }
        - { id: 'each[1].log_1', output: { message: Deploy v12 to b.example } }`,
  price: `
    event: { type: webhook.received, data: { payload: { items: [{ price: 4 }, { price: 6 }] } } }
    expect: { outputs: { total: 10 } }`,
  'weekday-report': `
    now: 2026-11-20T08:00:00Z
    expect: { steps: [{ id: report, output: { message: 'Report of 2026-11-20T08:00:00.000Z' } }] }`,
  'deploy-one-at-a-time': `
    event: { type: git.push, data: { branch: main } }
    expect: { steps: [{ id: deploy, output: { message: Deploy main } }] }`,
  'approve-by-message': `
    inputs: { version: v12 }
    mocks: { ok: { output: { approved: true, by: token/ann }, delay: 1h }, send: { output: { status: 200 } } }
    events:
      - at: 1s
        type: approval.requested
        data: { runId: run_01jq5x1d0wkz4s3v2n8m7b6c5a, links: [{ approve: 'https://millrace.example.com/links/1' }] }
    runId: run_01jq5x1d0wkz4s3v2n8m7b6c5a
    expect:
      outputs: { by: token/ann }
      steps: [{ id: send, with: { body: { text: 'Approve: https://millrace.example.com/links/1' } } }]`,
};

const library = new StepLibrary(builtInSteps);
const source = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const text = workflowPages.map((page) => source(`../../docs/${page}`)).join('\n');
const examples = new Map(
  [...text.matchAll(/^```yaml\n(name: (\S+)\n.*?)^```$/gms)].map(([, yaml, name]) => [name!, yaml!]),
);

describe('the examples of the pages on workflows', () => {
  it.each(Object.entries(TESTS))('%s does what the page says', (name, test) => {
    const run = runTests(examples.get(name) ?? '', `tests:\n  - name: ${name}${test}\n`, library);
    expect(run.ok ? run.results.flatMap(({ failures }) => failures) : run.problems).toEqual([]);
  });

  it('are all played', () => {
    const played = [...source('workflows.spec.ts').matchAll(/(?:played|examples[.]get)\(\s*'([\w-]+)'/g)];
    const names = new Set([...played.map(([, name]) => name!), ...Object.keys(TESTS)]);
    expect([...examples.keys()].filter((name) => !names.has(name))).toEqual([]);
  });
});
