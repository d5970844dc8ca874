import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { ROOT } from '../../support/server.js';

/** A call that the receiver answered with 200. */
export interface Call {
  /** Which of its ports, from 0. */
  readonly port: number;
  readonly path: string;
  readonly messageId?: string;
  /** `deliveryId` in the body. */
  readonly deliveryId?: string;
  /** When it arrived, on the clock that all processes share. */
  readonly at: number;
  /** Whether it has the expected signatures. */
  readonly signed: boolean;
}

export interface Expectation {
  readonly secret: string;
  /** The header with the hex signature, in lower case. */
  readonly hexHeader: string;
  /** Whether it must carry a Standard Webhooks signature too. */
  readonly standard: boolean;
}

/** Receivers of deliveries, each on its own port, in one process apart from the server and the load generator. */
export class ReceiverProcess {
  private readonly answers = new Map<number, (answer: object) => void>();
  private next = 0;

  private constructor(
    private readonly child: ChildProcess,
    /** Filled by `start`. */
    readonly ports: number[],
  ) {
    child.on('message', ({ number, answer }: { number: number; answer: object }) => {
      this.answers.get(number)?.(answer);
      this.answers.delete(number);
    });
  }

  static async start(ports: number): Promise<ReceiverProcess> {
    const child = fork(join(ROOT, 'test/bench/load/receiver.mjs'), { serialization: 'advanced', execArgv: [] });
    const receiver = new ReceiverProcess(child, []);
    const answer = await receiver.ask<{ ports: number[] }>({ listen: ports });
    receiver.ports.push(...answer.ports);
    return receiver;
  }

  url(port: number): string {
    return `http://127.0.0.1:${this.ports[port]!}`;
  }

  expect(expectations: readonly Expectation[]): Promise<object> {
    return this.ask({ expect: expectations });
  }

  hang(ports: readonly number[]): Promise<object> {
    return this.ask({ hang: ports });
  }

  release(): Promise<object> {
    return this.ask({ release: true });
  }

  /** Calls answered since the last `take`, in total and by port. */
  count(): Promise<{ readonly count: number; readonly ofPorts: readonly (number | undefined)[] }> {
    return this.ask({ count: true });
  }

  async take(): Promise<readonly Call[]> {
    return (await this.ask<{ calls: Call[] }>({ take: true })).calls;
  }

  async processorSeconds(): Promise<number> {
    return (await this.ask<{ processorSeconds: number }>({ usage: true })).processorSeconds;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return;
    this.child.disconnect();
    await once(this.child, 'exit');
  }

  private ask<T extends object>(message: object): Promise<T> {
    return new Promise((resolve, reject) => {
      const number = this.next++;
      this.answers.set(number, resolve as (answer: object) => void);
      this.child.send({ number, message }, (error) => error && reject(error));
    });
  }
}
