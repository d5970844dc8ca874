import type { AgentRuntime } from '#libs/events/src/shapes/agents/execution-shape.js';

import { a2aRuntime } from './a2a-runtime.js';
import { commandRuntime } from './command-runtime.js';
import { openaiRuntime } from './openai/openai-runtime.js';
import { httpRuntime } from './http-runtime.js';
import type { Runtime } from './runtime.js';
import { workflowRuntime } from './workflow-runtime.js';

/** Every runtime, one line each. */
export const runtimes: Readonly<Record<AgentRuntime, Runtime>> = {
  http: httpRuntime,
  openai: openaiRuntime,
  a2a: a2aRuntime,
  workflow: workflowRuntime,
  command: commandRuntime,
};
