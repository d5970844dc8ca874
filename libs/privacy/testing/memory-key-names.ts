import { MemorySecrets } from '#libs/access/testing/memory-secrets.js';

import { KeyNames, keyReference, SubjectKeys } from '../src/keys/subject-keys.js';

/** Names of keys in memory, for specs. */
export class MemoryKeyNames extends KeyNames {
  readonly rows: { orgId: string; subject: string; name: string; erased: boolean }[] = [];

  claim(orgId: string, offered: ReadonlyMap<string, string>): Promise<ReadonlyMap<string, string>> {
    for (const [subject, name] of offered)
      if (!this.find(orgId, subject)) this.rows.push({ orgId, subject, name, erased: false });
    return this.inUse(orgId, [...offered.keys()]);
  }

  retire(names: readonly string[]): Promise<void> {
    for (const row of this.rows) if (names.includes(row.name)) row.erased = true;
    return Promise.resolve();
  }

  inUse(orgId: string, subjects: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return Promise.resolve(
      new Map(
        subjects.flatMap((subject) => {
          const row = this.find(orgId, subject);
          return row ? [[subject, row.name] as const] : [];
        }),
      ),
    );
  }

  ofOrganisation(orgId: string, names: readonly string[]): Promise<readonly string[]> {
    return Promise.resolve(
      this.rows.filter((row) => row.orgId === orgId && names.includes(row.name)).map(({ name }) => name),
    );
  }

  private find(orgId: string, subject: string) {
    return this.rows.find((row) => row.orgId === orgId && row.subject === subject && !row.erased);
  }
}

/** Keys of subjects in memory, which can be destroyed. */
export function memoryKeys() {
  const secrets = new MemorySecrets();
  const names = new MemoryKeyNames();
  const keys = new SubjectKeys(names, secrets);
  const erase = async (orgId: string, id: string) => {
    const hash = await keys.hash(orgId, id);
    const rows = names.rows.filter((row) => row.orgId === orgId && row.subject === hash);
    for (const row of rows) {
      row.erased = true;
      await secrets.remove([keyReference(row.name)]);
    }
    keys.forget({ orgId, hash, names: rows.map(({ name }) => name) });
  };
  return { secrets, names, keys, erase, restarted: () => new SubjectKeys(names, secrets) };
}
