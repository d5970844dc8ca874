/**
 * The codes with which steps and runs fail: when, and what to do. A spec compares them with the codes in the sources, and their
 * types come from the program.
 */
export const errorCodes: Readonly<Record<string, readonly [when: string, remedy: string]>> = {
  'http.status': [
    'The receiver answered outside 2xx; `authentication` for 401 and 403.',
    'Look at `output.status`; list expected statuses in `expect`.',
  ],
  'http.timeout': ['No complete answer within the time limit.', 'Set `timeout`, `retry`.'],
  'http.dns': ['The host name has no address.', 'Check the name.'],
  'http.connect': ['No connection, or it broke off.', 'Set `retry`.'],
  'http.tls': ['The certificate is invalid.', 'Renew the certificate of the receiver.'],
  'http.refused_address': ['The URL or its address is not allowed.', 'See `MILLRACE_ALLOW_PRIVATE_TARGETS`.'],
  'http.redirect': ['The receiver redirects. Redirects are not followed.', 'Use the target of the redirect.'],
  'http.body_too_large': ['The answer is longer than 128 KiB, or damaged.', 'Ask for less, for instance page by page.'],
  'http.bad_url': ['The URL is not absolute.', 'Check what the template returns.'],
  'step.timeout': ['The step, or an attempt, took longer than its `timeout`.', 'Set a longer `timeout`.'],
  'step.bad_input': ['`with` does not fit the schema of the step.', 'The message names the key.'],
  'step.input_too_large': ['`with` is larger than 256 KiB.', 'Pass a reference instead of the value.'],
  'step.output_too_large': ['The output is larger than 256 KiB.', 'Return less.'],
  'step.not_json': ['A value cannot be written as JSON.', 'Return plain values.'],
  'step.too_many_iterations': [
    '`while` is still true after `maxIterations`.',
    'Raise the limit, or check the condition.',
  ],
  'step.bug': ['A step failed in a way that it does not declare.', 'Report it to the author of the step.'],
  'secret.unknown': ['There is no secret of this name.', 'Set it with `PUT /api/v1/secrets/:name`.'],
  'loop.no_list': ['`forEach` got something that is not a list.', 'Check what the template returns.'],
  'loop.too_long': ['`forEach` got more than 1,000 items.', 'Split the list over several runs.'],
  'emit.type': ['The type does not exist, or may not be emitted.', 'The message lists the types.'],
  'emit.data': ['`data` does not fit the schema of the type.', 'The message names the field.'],
  'wait.bad_time': ['A template returned an invalid duration or time.', 'Check what the template returns.'],
  'wait.timeout': ['No event came in time.', 'Set `onTimeout: continue` to go on.'],
  'wait.scope_too_large': ['What the conditions of a wait read is larger than 256 KiB.', 'Read single fields.'],
  'approval.timeout': ['Nobody decided in time.', 'Set `onTimeout: continue` to go on.'],
  'approval.rejected': ['An approver rejected.', 'Set `onReject: continue` to go on.'],
  'approval.no_title': ['The title is empty.', 'Check what the template returns.'],
  'issue.refused': ['The issue was not opened.', 'The message says why.'],
  'webhook.no_payload': ['No event led to the run, and there is no `payload`.', 'Set `payload`.'],
  'webhook.refused': ['The delivery was refused.', 'The message says why.'],
  'agent.cancelled': ['The execution of the agent was cancelled.', 'See the execution.'],
  'workflow.refused': ['The other workflow could not start.', 'The message says why.'],
  'workflow.cancelled': ['The other run was cancelled.', 'See `children` of the run.'],
  'workflow.skipped': ['`concurrency` of the other workflow skipped the run.', 'Use `onConflict: queue` there.'],
  'run.timeout': ['The run took longer than its `timeout`.', 'Set a longer `timeout`.'],
  'run.too_long': ['The run has more than 5,000 steps.', 'Split the work over several runs.'],
  'run.outputs_too_large': ['`outputs` of the run are larger than 256 KiB.', 'Return less.'],
  'run.vars_too_large': ['The variables of the run are larger than 256 KiB.', 'Set fewer or smaller values.'],
  'expression.too_costly': ['An expression takes too many operations.', 'Filter earlier, or read less.'],
};

/** Types that the sources name beside a code; of all others the code tells the type. */
export const namedTypes: Readonly<Record<string, string>> = {
  'secret.unknown': 'configuration',
  'issue.refused': 'configuration',
  'webhook.no_payload': 'validation',
  'webhook.refused': 'configuration',
  'workflow.refused': 'configuration',
};

/** In these sources a step or a run fails. */
export const FAILING = [
  'libs/workflows/src/steps',
  'libs/workflows/src/engine',
  'libs/workflows/src/run',
  'libs/steps/src',
];

/** The codes that a source names where it fails a step or a run. */
export const codesIn = (source: string): readonly string[] =>
  [...source.matchAll(/(?:StepError\(\{\s*|\bfailure\(\s*|\bplain\([^']*?,\s*)(?:code: )?'([a-z_]+\.[a-z_]+)'/g)].map(
    ([, code]) => code!,
  );

/** The same, with the type that stands beside it. */
export const typesIn = (source: string): readonly (readonly [code: string, type: string])[] =>
  [...source.matchAll(/code: '([a-z_]+\.[a-z_]+)',\s+type: '([a-z]+)'/g)].map(([, code, type]) => [code!, type!]);
