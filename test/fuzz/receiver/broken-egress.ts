import { HttpEgress } from '#libs/egress/src/egress.adapter.js';
import type { Egress, EgressOutcome, EgressRequest } from '#libs/egress/src/egress.js';

type Change = (outcome: EgressOutcome, request: EgressRequest) => EgressOutcome | Promise<EgressOutcome>;

const response = (status: number, body: Buffer): EgressOutcome => ({
  kind: 'response',
  status,
  headers: {},
  body,
  truncated: false,
  latencyMs: 0,
});

/** Ways out that are wrong, each in one way that the fuzzer must find. */
export const BROKEN: Readonly<Record<string, Change>> = {
  throws: (outcome) => {
    if (outcome.kind === 'failed') throw new Error('ECONNRESET');
    return outcome;
  },
  hangs: (outcome) => (outcome.kind === 'failed' ? new Promise(() => undefined) : outcome),
  'believes what broke off': (outcome) => (outcome.kind === 'failed' ? response(200, Buffer.from('x')) : outcome),
  'keeps too much': (outcome) => (outcome.kind === 'response' ? { ...outcome, body: Buffer.alloc(300_000) } : outcome),
  'changes a body': (outcome) =>
    outcome.kind === 'response' ? { ...outcome, body: Buffer.concat([outcome.body, Buffer.from(' ')]) } : outcome,
  'loses a promise': (outcome) => {
    if (outcome.kind === 'failed') void Promise.reject(new Error('nobody hears me'));
    return outcome;
  },
};

export function brokenEgress(name: string): Pick<Egress, 'request'> & { close(): void } {
  const right = new HttpEgress({ allowHttpTargets: true, allowPrivateTargets: ['127.0.0.0/8'] });
  return {
    request: async (request) => BROKEN[name]!(await right.request(request), request),
    close: () => right.close(),
  };
}
