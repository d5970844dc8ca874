import { describe, expect, it } from '@jest/globals';

import type { AgentChanges, AgentSettings } from '#libs/events/src/shapes/agents/agent-shape.js';
import { Problems } from '#libs/kernel/src/problems.js';

import { checkConfig } from './config-check.js';

const check = checkConfig(
  {},
  {
    urlRefusal: (url) => (url.includes('10.0.0.1') ? 'Must be a public address.' : undefined),
    commands: ['/usr/bin/triage'],
  },
);
const MODEL = { baseUrl: 'https://a.example/v1', model: 'm', prompt: 'p' };

function pointersOf(runtime: AgentSettings['runtime'], config: object): readonly string[] {
  const problems = new Problems('agent');
  check({ runtime, config } as AgentChanges, problems);
  return problems.found.map(({ pointer }) => pointer);
}

describe('the config of an agent', () => {
  it.each<[AgentSettings['runtime'], object, readonly string[]]>([
    ['http', { url: 'https://a.example' }, []],
    [
      'http',
      {
        url: 'https://a.example',
        headers: { authorization: 'Bearer ${{ secrets.TOKEN }}' },
        timeout: '30s',
        maxAttempts: 5,
      },
      [],
    ],
    ['http', {}, ['/config/url']],
    ['http', { url: 'nowhere' }, ['/config/url']],
    ['http', { url: 'https://10.0.0.1/' }, ['/config/url']],
    ['http', { url: 'https://a.example', token: 'secret' }, ['/config/token']],
    ['http', { url: 'https://a.example', timeout: 'soon', maxAttempts: 0 }, ['/config/timeout', '/config/maxAttempts']],
    ['http', { url: 'https://a.example', headers: { 'a b': 'x' } }, ['/config/headers/a b']],
    ['http', { url: 'https://a.example', headers: { a: 'x\r\ny: z' } }, ['/config/headers/a']],
    ['openai', { baseUrl: 'https://a.example/v1', model: 'm', prompt: 'p' }, []],
    ['http', { url: 'https://a.example', headers: { Authorization: 'Bearer x' } }, ['/config/headers/Authorization']],
    ['openai', { baseUrl: 'https://a.example/v1' }, ['/config/model', '/config/prompt']],
    ['openai', { ...MODEL, apiKey: 'sk-123', system: 'See ${{ input }}' }, ['/config/apiKey', '/config/system']],
    ['openai', { ...MODEL, prompt: 'See ${{ input. }}' }, ['/config/prompt']],
    ['openai', { ...MODEL, outputSchema: { type: 'priority' } }, ['/config/outputSchema']],
    ['openai', { ...MODEL, limits: { costCents: 5 } }, ['/config/limits/costCents']],
    [
      'openai',
      { ...MODEL, limits: { steps: 0, duration: 'soon' } },
      ['/config/limits/steps', '/config/limits/duration'],
    ],
    ['openai', { ...MODEL, tools: [{ mcp: 'https://10.0.0.1/' }] }, ['/config/tools/0/mcp']],
    ['openai', { ...MODEL, tools: [{ builtin: 'format_disk' }] }, ['/config/tools/0']],
    [
      'openai',
      {
        ...MODEL,
        apiKey: '${{ secrets.KEY }}',
        api: 'responses',
        tools: [
          { mcp: 'https://t.example', trusted: true, allow: ['get_*'] },
          { builtin: 'create_issue', policy: 'ask' },
        ],
        limits: { costCents: 5 },
        prices: { inputPerMillion: 10, outputPerMillion: 30 },
      },
      [],
    ],
    ['workflow', { workflow: 'triage' }, []],
    ['command', { command: '/usr/bin/triage', args: ['-x'], memoryMb: 64 }, []],
    ['command', { command: '/bin/sh' }, ['/config/command']],
    ['command', { command: 'triage' }, ['/config/command']],
    ['command', { command: { run: 'rm' } }, ['/config/command']],
  ])('of runtime %s: %j', (runtime, config, pointers) => {
    expect(pointersOf(runtime, config)).toEqual(pointers);
  });
});
