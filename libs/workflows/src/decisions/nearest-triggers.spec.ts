import { describe, expect, it } from '@jest/globals';

import { testSteps } from '../../testing/library.js';
import { parseWorkflow } from '../language/reading/parse-workflow.js';
import { nearestTriggers } from './nearest-triggers.js';

const push = { type: 'git.push', source: 'github', recordedAt: new Date('2026-11-20T12:00:00Z') };

function workflow(name: string, triggers: string) {
  const parsed = parseWorkflow(`name: ${name}\ntriggers: ${triggers}\nsteps: [{ wait: { for: 1s } }]\n`, testSteps);
  if (!parsed.ok) throw new Error(parsed.problems[0]!.detail);
  return { id: `wf_${name}`, name, definition: parsed.definition };
}

describe('triggers without a decision', () => {
  it('are named with what does not fit, the nearest first', () => {
    const workflows = [
      workflow('all', '[{ type: event, event: issue.created, source: gitlab }, { type: manual }]'),
      workflow('lab', '[{ type: event, event: git.push, source: [gitlab, gitea] }]'),
      workflow('tags', '[{ type: event, event: git.tag_pushed }]'),
      workflow('issues', '[{ type: event, event: issue.created }]'),
      workflow('decided', '[{ type: event, event: git.push }]'),
      workflow('late', '[{ type: event, event: [git.push, pr.opened] }]'),
    ];
    const hasDecided = (id: string) => id === 'wf_decided';
    const found = nearestTriggers(push, workflows, hasDecided, 10);
    expect(found.map(({ workflow: name, trigger, reason }) => `${name} ${trigger} ${reason}`)).toEqual([
      'late 0 changed_later',
      'lab 0 source',
      'tags 0 type',
      'issues 0 type',
      'all 0 both',
    ]);
    expect(found[1]).toMatchObject({ workflowId: 'wf_lab', event: ['git.push'], source: ['gitlab', 'gitea'] });
    expect(nearestTriggers(push, workflows, hasDecided, 2)).toHaveLength(2);
  });

  it('are none of workflows that no longer parse', () => {
    expect(nearestTriggers(push, [{ id: 'wf_x', name: 'x', definition: undefined }], () => false, 10)).toEqual([]);
  });
});
