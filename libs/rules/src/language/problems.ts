import { type Problem, Rejected } from '#libs/kernel/src/errors.js';
import { pointerToken } from '#libs/kernel/src/json.js';
import { suggestion } from '#libs/kernel/src/nearest.js';

/** Collects what is wrong with a document, so that one answer names everything. */
export class Problems {
  readonly found: Problem[] = [];

  add(pointer: string, detail: string, code?: string): void {
    this.found.push({ pointer, detail, ...(code !== undefined && { code }) });
  }

  /** Notes keys that nobody would read. */
  unknownKeys(object: Record<string, unknown>, allowed: readonly string[], pointer: string): void {
    for (const key of Object.keys(object))
      if (!allowed.includes(key))
        this.add(
          `${pointer}/${pointerToken(key)}`,
          `is not known here. ${suggestion(key, allowed)}Allowed: ${allowed.join(', ')}.`,
          'rule.unknown_key',
        );
  }

  /** Notes a value that is none of those allowed. */
  oneOf(given: unknown, allowed: readonly string[], pointer: string): void {
    if (given === undefined) this.add(pointer, `is missing. Allowed: ${allowed.join(', ')}.`);
    else
      this.add(
        pointer,
        `must be one of ${allowed.join(', ')}. ${typeof given === 'string' ? suggestion(given, allowed) : ''}`.trim(),
      );
  }

  /** A text of 1 to `most` characters. */
  text(given: unknown, pointer: string, most: number): given is string {
    if (typeof given === 'string' && given.trim() !== '' && given.length <= most && !given.includes('\0')) return true;
    this.add(
      pointer,
      given === undefined
        ? 'is missing.'
        : typeof given !== 'string'
          ? 'must be a string.'
          : given.trim() === ''
            ? 'must not be empty.'
            : given.length > most
              ? `has ${given.length} characters; at most ${most} are allowed.`
              : 'must not hold the character NUL.',
    );
    return false;
  }

  /** @throws Rejected if there is any. */
  throwIfAny(code: string, what: string): void {
    const [first, ...more] = this.found;
    if (!first) return;
    const rest = more.length === 0 ? '' : ` (and ${more.length} more)`;
    throw new Rejected('invalid', code, `${what}: ${first.pointer || '/'} ${first.detail}${rest}`, {
      problems: this.found,
    });
  }
}
