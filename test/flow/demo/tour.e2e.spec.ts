import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

import { freePort, ADMIN_TOKEN, ROOT, TestServer } from '../../support/server.js';

/** The commands of the README's tour, in order, as a reader would paste them. */
async function tourCommands(): Promise<string[]> {
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
  const [, tour] = /<!-- tour -->([\s\S]*)<!-- end of tour -->/.exec(readme) ?? [];
  if (tour === undefined) throw new Error('the README has no tour any more');
  return [...tour.matchAll(/```bash\n([\s\S]*?)```/g)].map((match) => match[1]!);
}

async function bash(script: string, cwd: string, env: Record<string, string>) {
  const child = spawn('bash', ['-euo', 'pipefail'], { cwd, env: { ...process.env, ...env } });
  let out = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  child.stdin.end(script);
  await once(child, 'close');
  return { out, errors, code: child.exitCode };
}

describe("the README's tour", () => {
  it('does what it says when every command is pasted in order', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-tour-'));
    const server = await TestServer.start({ env: { MILLRACE_RETRY_SCHEDULE: '1s,2s,4s' } });
    const port = await freePort();
    const receiver = spawn(process.execPath, ['docs/examples/receiver.mjs', String(port)], { cwd: ROOT });
    try {
      // Pasted where the repository is; what the tour writes belongs elsewhere.
      await symlink(join(ROOT, 'apps'), join(folder, 'apps'));
      await once(receiver.stdout, 'data');
      const commands = await tourCommands();
      expect(commands.length).toBeGreaterThanOrEqual(8);
      // A marker before each block tells the outputs of the blocks apart; an answer of curl ends without a new line.
      const script = commands.map((command, index) => `printf '\\n== ${index}\\n'\n${command}`).join('\n');
      const { out, errors, code } = await bash(script, folder, {
        MILLRACE: server.url,
        RECEIVER: `http://127.0.0.1:${port}`,
        TOKEN: ADMIN_TOKEN,
      });
      expect({ code, errors }).toEqual({
        code: 0,
        errors: expect.stringMatching(
          /^warning: \/conditions\/all\/0\/field, column 6: there is no field brnach here\. Did you mean "branch"\?.*\n$/,
        ),
      });
      const outputs = out.split(/^== \d+\n/m).slice(1);
      const outputOf = (part: string) => outputs[commands.findIndex((command) => command.includes(part))]!.trim();
      expect(outputOf('rule create rule.yaml')).toMatch(/^rul_\w+ "the API changed on main" is created/);
      expect(outputOf('push | field .duplicate')).toBe('true'); // the second push is a duplicate
      const why = outputOf('rule why');
      expect(why).toMatch(/matched {6}the API changed on main \(rul_\w+, version 1\)\n +requested send_webhook/);
      expect(why).toMatch(
        /not matched {2}with a typo .*\n +data\.brnach equals "main", but was null {2}\(\/conditions\/all\/0\)/,
      );
      const [attempts, ...detail] = outputOf('delivery attempts').split('\n');
      expect(attempts).toBe('3');
      const delivery = JSON.parse(detail.join('\n')) as { status: string; attempts: { status?: number }[] };
      expect(delivery.status).toBe('success');
      expect(JSON.stringify(delivery.attempts)).toContain('500');
      const [run, trace] = outputOf('api/v1/runs/$RUN').split(/(?<=\})\n?(?=\{)/);
      expect((JSON.parse(run!) as { workflow: string }).workflow).toBe('retry-failed-webhooks');
      expect(run).toContain('completed');
      for (const type of ['git.push', 'rule.evaluated', 'webhook.failed', 'workflow.started', 'webhook.delivered'])
        expect(trace).toContain(`"${type}"`);
      expect((await server.list('/api/v1/events?type=git.push')).length).toBe(1);
    } finally {
      receiver.kill();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
