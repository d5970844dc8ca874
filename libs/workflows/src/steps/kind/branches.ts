import type { StepEvents } from './step-kind.js';

/** The event of every kind whose steps run side by side. */
export const BRANCHES: StepEvents<unknown> = { 'run.branches_started': {} };
