import { type Problem, Rejected } from './errors.js';
import { pointerToken } from './json.js';
import { suggestion } from './text/nearest.js';

/**
 * Collects everything that is wrong with a document, so that one answer names all of it. A detail is a sentence that says
 * what must be there: "Must be a URL."
 */
export class Problems {
  readonly found: Problem[] = [];

  /** @param prefix how codes begin: the thing that is checked, such as `rule`. */
  constructor(private readonly prefix: string) {}

  /** One problem for each place: what is wrong in one way is often wrong in others too. */
  add(pointer: string, detail: string, code = `${this.prefix}.bad_value`): void {
    if (!this.found.some((problem) => problem.pointer === pointer)) this.found.push({ pointer, detail, code });
  }

  /** What another check found. */
  addAll(problems: readonly Problem[]): void {
    for (const { pointer, detail, code } of problems) this.add(pointer, detail, code);
  }

  /** What `work` gives; `undefined`, with its problems noted, if it rejects. */
  attempt<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      this.addAll(error.problems);
      return undefined;
    }
  }

  /** Whether nothing at this place, around it or below it is wrong so far: only then is it what its shape says. */
  isFine(pointer: string): boolean {
    const isWithin = (inner: string, outer: string): boolean => inner === outer || inner.startsWith(`${outer}/`);
    return !this.found.some((one) => isWithin(one.pointer, pointer) || isWithin(pointer, one.pointer));
  }

  /** A part of a document that is there and, as far as is known, right. */
  part<T extends object, K extends keyof T>(document: T, key: K): NonNullable<T[K]> | undefined {
    const value = document[key];
    return value !== null && value !== undefined && this.isFine(`/${pointerToken(String(key))}`) ? value : undefined;
  }

  /** Notes keys that nobody would read. */
  unknownKeys(object: Record<string, unknown>, allowed: readonly string[], pointer: string): void {
    for (const key of Object.keys(object))
      if (!allowed.includes(key))
        this.add(
          `${pointer}/${pointerToken(key)}`,
          `Unknown key "${key}". ${suggestion(key, allowed)}Allowed: ${allowed.join(', ') || 'none'}.`,
          `${this.prefix}.unknown_key`,
        );
  }

  /** Notes a value that is none of those allowed. */
  oneOf(given: unknown, allowed: readonly string[], pointer: string): void {
    const wanted = `one of ${allowed.join(', ')}`;
    if (given === undefined) this.required(pointer, wanted);
    else this.add(pointer, `Must be ${wanted}. ${typeof given === 'string' ? suggestion(given, allowed) : ''}`.trim());
  }

  /** Notes a key that is not there. */
  required(pointer: string, wanted?: string): void {
    const key = pointer.slice(pointer.lastIndexOf('/') + 1);
    const detail = `"${key}" is required${wanted === undefined ? '' : `: ${wanted}`}.`;
    this.add(pointer, detail, `${this.prefix}.missing_key`);
  }

  /** @throws Rejected if there is any. */
  throwIfAny(code: string, what: string): void {
    const [first, ...more] = this.found;
    if (!first) return;
    const rest = more.length === 0 ? '' : ` (and ${more.length} more)`;
    const at = first.pointer === '' ? '' : `${first.pointer}: `;
    throw new Rejected('invalid', code, `${what}: ${at}${first.detail}${rest}`, { problems: this.found });
  }
}
