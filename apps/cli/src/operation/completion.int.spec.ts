import { execFileSync } from 'node:child_process';

import { beforeAll, describe, expect, it } from '@jest/globals';

import { main } from '../main.js';

async function scriptOf(shell: string): Promise<string> {
  let text = '';
  const out = { write: (piece: string) => (text += piece) };
  expect(await main(['completion', shell], { env: {}, out, err: out })).toBe(0);
  return text;
}

describe('the completion of bash', () => {
  let script: string;
  beforeAll(async () => {
    script = await scriptOf('bash');
  });
  /** What is offered for the last of these words. */
  const offered = (...words: readonly string[]): readonly string[] => {
    const given = ['millrace', ...words].map((word) => `'${word}'`).join(' ');
    const ask = `COMP_WORDS=(${given}); COMP_CWORD=${words.length}; _millrace; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync('bash', ['-c', `${script}\n${ask}`], { encoding: 'utf8' })
      .trim()
      .split('\n');
  };

  it.each<[readonly string[], readonly string[]]>([
    [['outb'], ['outbound-webhook']],
    [
      ['event', 't'],
      ['tail', 'trace'],
    ],
    [['--url', 'http://localhost:3000', 'delivery', 'w'], ['watch']],
    [['outbound-webhook', 'rotate', 'whk_1', '--gr'], ['--grace-seconds']],
    [['--qu'], ['--quiet']],
    [['nonsense', 'x'], ['']],
  ])('offers after %j: %j', (words, expected) => {
    expect(offered(...words)).toEqual(expected);
  });
});

describe('the other shells', () => {
  it('get a script too', async () => {
    expect(await scriptOf('zsh')).toContain('bashcompinit');
    expect(await scriptOf('fish')).toContain("complete -c millrace -n '__fish_seen_subcommand_from event; and not");
  });
});
