import fc from 'fast-check';

const duration = fc.constantFrom('1s', '1m', '1h');
const onError = fc.constantFrom('continue', 'fail');
const onErrorContinue = fc.constant('continue');

const branches = (steps: fc.Arbitrary<object[]>) => fc.array(fc.record({ steps }), { minLength: 1, maxLength: 3 });

/** The first step leads to all others, and the last one joins them. Nodes need ids, unique in the workflow. */
let graphs = 0;
function asGraph(steps: readonly object[]): object {
  const graph = graphs++;
  const nodes = steps.map((step, index) => ({ ...step, id: `node_${graph}_${index}` }));
  const [first, last] = [nodes[0]!.id, nodes.at(-1)!.id];
  const between = nodes.slice(1, -1).flatMap(({ id }) => [
    { from: first, to: id },
    { from: id, to: last },
  ]);
  return { graph: { nodes, edges: between.length > 0 ? between : [{ from: first, to: last }] } };
}

/**
 * Workflows of every kind of step, nested up to three levels. Ids are left out, so that the parser makes them up.
 * @param mayFail whether steps may fail the run, or only themselves.
 */
export function arbitraryWorkflow(mayFail: boolean): fc.Arbitrary<string> {
  const policy = mayFail ? onError : onErrorContinue;
  const effect = fc
    .record({ attempts: fc.integer({ min: 1, max: 4 }), onError: policy })
    .map(({ attempts, onError }) => ({
      uses: 'call',
      with: { to: 'x' },
      retry: { maxAttempts: attempts, delay: '1s', jitter: false },
      onError,
    }));
  const pure = fc.constant({ uses: 'echo', with: { value: '${{ run.id }}' } });
  const skipped = fc
    .constantFrom({ if: false }, { disabled: true })
    .map((why) => ({ ...why, uses: 'call', with: { to: 'never' } }));
  const set = fc.constant({ uses: 'set', with: { value: '${{ run.id }}' } });
  const nap = duration.map((length) => ({ wait: { for: length } }));
  const emit = fc.constant({
    uses: 'emit',
    with: { type: 'webhook.exhausted', data: { deliveryId: 'd', attempts: 1 } },
  });
  const again = fc.constant({
    uses: 'redeliver_webhook',
    with: { delivery: 'del_01jq5x1d0wkz4s3v2n8m7b6c5a', after: '5s' },
  });
  const other = fc
    .record({ attempts: fc.integer({ min: 1, max: 3 }), onError: policy })
    .map(({ attempts, onError }) => ({
      uses: 'workflow',
      with: { workflow: 'other' },
      timeout: '1m',
      retry: { maxAttempts: attempts, delay: '2m', jitter: false },
      onError,
    }));
  const listen = fc.record({
    waitForEvent: fc.record({
      event: fc.constant('comment.created'),
      timeout: duration,
      onTimeout: fc.constantFrom('fail', 'continue'),
    }),
    onError: policy,
  });
  const ask = fc.record({
    approval: fc.record({
      title: fc.constant('Go?'),
      timeout: duration,
      onTimeout: fc.constantFrom('fail', 'continue'),
    }),
    onError: policy,
  });
  const limited = fc.record({ wait: fc.constant({ for: '1h' }), timeout: duration, onError: onErrorContinue });
  const { steps } = fc.letrec<{ steps: object[]; step: object }>((tie) => ({
    steps: fc.array(tie('step'), { minLength: 1, maxLength: 4 }),
    step: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      effect,
      pure,
      set,
      skipped,
      nap,
      emit,
      again,
      other,
      limited,
      listen,
      ask,
      fc.record({
        forEach: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 4 }),
        concurrency: fc.integer({ min: 1, max: 3 }),
        onItemError: onError,
        steps: tie('steps'),
      }),
      fc.record({
        parallel: branches(tie('steps')),
        onError: policy,
      }),
      // Which branch wins may depend on who goes on after a crash.
      ...(mayFail ? [fc.record({ race: fc.constant(true), parallel: branches(tie('steps')), onError: policy })] : []),
      fc.array(tie('step'), { minLength: 2, maxLength: 4 }).map(asGraph),
      fc.record({
        while: fc.record({
          condition: fc.integer({ min: 0, max: 3 }).map((most) => `index < \`${most}\``),
          maxIterations: fc.constant(9),
          delay: duration,
        }),
        steps: tie('steps'),
      }),
      fc.record({
        switch: fc.tuple(fc.boolean(), tie('steps'), tie('steps')).map(([taken, first, second]) => [
          { if: taken, steps: first },
          { else: true, steps: second },
        ]),
      }),
    ),
  }));
  const workflow = fc.record({
    steps,
    finally: fc.option(fc.array(fc.oneof(effect, pure, nap), { minLength: 1, maxLength: 2 }), { nil: undefined }),
    onFailure: fc.option(fc.array(fc.oneof(effect, pure, nap), { minLength: 1, maxLength: 2 }), { nil: undefined }),
  });
  return workflow.map(({ steps: list, ...rest }) => JSON.stringify({ name: 'any', steps: list, ...rest }));
}
