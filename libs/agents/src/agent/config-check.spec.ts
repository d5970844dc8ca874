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
function pointersOf(runtime: AgentSettings['runtime'], config: object): readonly string[] {
  const problems = new Problems('agent');
  check({ runtime, config } as AgentChanges, problems);
  return problems.found.map(({ pointer }) => pointer);
}

describe('the config of an agent', () => {
  it.each<[AgentSettings['runtime'], object, readonly string[]]>([
    ['http', { url: 'https://a.example' }, []],
    ['http', { url: 'https://a.example', headers: { authorization: 'x' }, timeout: '30s', maxAttempts: 5 }, []],
    ['http', {}, ['/config/url']],
    ['http', { url: 'nowhere' }, ['/config/url']],
    ['http', { url: 'https://10.0.0.1/' }, ['/config/url']],
    ['http', { url: 'https://a.example', token: 'secret' }, ['/config/token']],
    ['http', { url: 'https://a.example', timeout: 'soon', maxAttempts: 0 }, ['/config/timeout', '/config/maxAttempts']],
    ['http', { url: 'https://a.example', headers: { 'a b': 'x' } }, ['/config/headers/a b']],
    ['http', { url: 'https://a.example', headers: { a: 'x\r\ny: z' } }, ['/config/headers/a']],
    ['openai', { baseUrl: 'https://a.example/v1', model: 'm', prompt: 'p' }, []],
    ['openai', { baseUrl: 'https://a.example/v1' }, ['/config/model']],
    ['workflow', { workflow: 'triage' }, []],
    ['command', { command: '/usr/bin/triage', args: ['-x'], memoryMb: 64 }, []],
    ['command', { command: '/bin/sh' }, ['/config/command']],
    ['command', { command: 'triage' }, ['/config/command']],
    ['command', { command: { run: 'rm' } }, ['/config/command']],
  ])('of runtime %s: %j', (runtime, config, pointers) => {
    expect(pointersOf(runtime, config)).toEqual(pointers);
  });
});
