import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { isObject } from '#libs/kernel/src/json.js';

import { documentsOf, parseDocument, UnreadableFile } from './rule-file.js';

/** A rule as it was exported: its id, its name and its YAML, which begins with a comment of the id. */
export interface ExportedRule {
  readonly id: string;
  readonly name: string;
  readonly text: string;
}

export interface Written {
  readonly id: string;
  readonly name: string;
  readonly file: string;
  readonly change: 'created' | 'updated' | 'unchanged';
}

const MAX_SLUG = 60;
/** Names that Windows keeps for devices. */
const RESERVED = /^(?:con|prn|aux|nul|com\d|lpt\d)$/;

/** A name in lower-case letters, digits and hyphens: safe in every file system, and no way out of the folder. */
export function slugOf(name: string): string {
  const slug = name
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, MAX_SLUG)
    .replace(/^-+|-+$/g, '');
  return slug === '' || RESERVED.test(slug) ? `rule${slug === '' ? '' : `-${slug}`}` : slug;
}

/** The rule of a text. @throws UnreadableFile if it is none. */
export function exportedRule(text: string, file: string): ExportedRule {
  const [, id = ''] = /^(?:---\s*)?# (rul_\w+)\r?$/m.exec(text.slice(0, 200)) ?? [];
  const body = parseDocument(text, file).value;
  if (!isObject(body) || typeof body['name'] !== 'string' || !Object.hasOwn(body, 'eventType'))
    throw new UnreadableFile(`${file} contains no rule.`);
  return { id, name: body['name'], text };
}

/**
 * A folder with one file for each rule. A rule keeps the file that it has, which is found by the id in its first line, or
 * else by the name in it if no other rule has that file; a new one is named after the rule, with the end of its id where
 * that name is taken. Files with something else in them, links and other folders are never written to.
 */
export class RuleFolder {
  private readonly taken = new Set<string>();
  private readonly byId = new Map<string, string>();
  private readonly byName = new Map<string, string>();
  private readonly before = new Map<string, ExportedRule>();
  private readonly written = new Set<string>();

  private constructor(
    private readonly path: string,
    private readonly isInUse: (id: string) => Promise<boolean>,
  ) {}

  /**
   * Makes the folder if it is not there.
   * @param isInUse whether there is a rule of this id that is not archived: its file is nobody else's.
   * @throws UnreadableFile
   */
  static async open(path: string, isInUse: (id: string) => Promise<boolean>): Promise<RuleFolder> {
    const folder = new RuleFolder(path, isInUse);
    await mkdir(path, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
      throw new UnreadableFile(`${path} cannot be made a folder: ${error.message}`);
    });
    for (const entry of await readdir(path, { withFileTypes: true })) {
      folder.taken.add(entry.name.toLowerCase());
      if (entry.isFile() && /^[^.].*\.ya?ml$/.test(entry.name)) await folder.look(entry.name);
    }
    return folder;
  }

  async write(rule: ExportedRule): Promise<Written> {
    const name = await this.fileOf(rule);
    this.taken.add(name);
    this.written.add(name);
    const file = join(this.path, name);
    const before = this.before.get(name);
    const { id, name: ruleName, text } = rule;
    if (before?.text === text) return { id, name: ruleName, file, change: 'unchanged' };
    // Beside it first: a file is there whole or as it was, and a link in its place is not followed.
    const draft = join(this.path, `.${name}.${process.pid}.part`);
    try {
      await writeFile(draft, text, { flag: 'wx' });
      await rename(draft, file);
    } catch (error) {
      await rm(draft, { force: true });
      throw new UnreadableFile(`${file} cannot be written: ${(error as Error).message}`);
    }
    return { id, name: ruleName, file, change: before === undefined ? 'created' : 'updated' };
  }

  /** Files of rules that were here before and were not written: of rules that are archived, or that were not asked for. */
  get others(): readonly string[] {
    return [...this.before.keys()].filter((name) => !this.written.has(name)).map((name) => join(this.path, name));
  }

  private async look(name: string): Promise<void> {
    const text = await readFile(join(this.path, name), 'utf8');
    if (documentsOf(text).length !== 1) return;
    try {
      const rule = exportedRule(text, name);
      this.before.set(name, rule);
      if (rule.id !== '') this.byId.set(rule.id, name);
      this.byName.set(rule.name, name);
    } catch (error) {
      // Something else: it stays as it is.
      if (!(error instanceof UnreadableFile)) throw error;
    }
  }

  private async fileOf({ id, name }: ExportedRule): Promise<string> {
    const own = this.byId.get(id);
    if (own !== undefined && !this.written.has(own)) return own;
    const named = this.byName.get(name);
    if (named !== undefined && !this.written.has(named)) {
      const other = this.before.get(named)!.id;
      if (other === '' || !(await this.isInUse(other))) return named;
    }
    const slug = slugOf(name);
    const tail = slugOf(id);
    for (const one of [slug, `${slug}-${tail.slice(-6)}`, `${slug}-${tail}`])
      if (!this.taken.has(`${one}.yaml`)) return `${one}.yaml`;
    for (let n = 2; ; n++) if (!this.taken.has(`${slug}-${tail}-${n}.yaml`)) return `${slug}-${tail}-${n}.yaml`;
  }
}
