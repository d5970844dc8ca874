/**
 * Named places between an append, an effect and its outcome, at which a test kills the process as `kill -9` would.
 * `MILLRACE_CRASH_AT=deliveries.after-effect` dies at the first passage, `…:3` at the third. Without the variable a
 * crash point is one comparison.
 */
const [target, nth] = (process.env['MILLRACE_CRASH_AT'] ?? '').split(':');
let remaining = Number(nth ?? '1');

export function crashPoint(name: string): void {
  if (target !== name) return;
  remaining -= 1;
  if (remaining > 0) return;
  process.kill(process.pid, 'SIGKILL');
  // The signal is delivered asynchronously: nothing after this line may run.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
