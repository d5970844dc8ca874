/**
 * Injection token of an `AbortSignal` that aborts when the process begins to stop, before requests under way are waited
 * for: answers without an end listen to it.
 */
export const SHUTDOWN = Symbol('Shutdown');
