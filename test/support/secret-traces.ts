import pg from 'pg';

/** Characters that URLs, JSON, HTML, forms and base64 all spell in their own ways. */
export const VALUE = 'S3cret/"+&=<key>~9';

export const inBase64 = (before: number): string => Buffer.from(`${'u'.repeat(before)}${VALUE}:p`).toString('base64');

const escaped = (text: string): string => JSON.stringify(text).slice(1, -1);

/** What nothing that is kept may have. In base64 only what does not depend on its surroundings. */
const SPELLINGS = [
  VALUE,
  encodeURIComponent(VALUE),
  encodeURI(VALUE),
  new URL(`http://x/${VALUE}`).pathname.slice(1),
  escaped(VALUE),
  escaped(escaped(VALUE)),
  escaped(escaped(escaped(VALUE))),
  escaped(escaped(escaped(escaped(VALUE)))),
  ...[0, 1, 2].map((before) => inBase64(before).slice(4, 20)),
  Buffer.from(VALUE).toString('hex'),
];
export const found = (text: string): readonly string[] => SPELLINGS.filter((spelling) => text.includes(spelling));

/** Every value of every table, bytes as text. */
export async function everythingStored(database: { readonly url: string }): Promise<string> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    const tables = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables
        where schemaname not in ('pg_catalog', 'information_schema')`,
    );
    const texts: string[] = [];
    for (const { name } of tables.rows)
      for (const row of (await client.query<Record<string, unknown>>(`select * from ${name}`)).rows)
        for (const value of Object.values(row))
          texts.push(
            Buffer.isBuffer(value) ? value.toString('utf8') : typeof value === 'string' ? value : JSON.stringify(value),
          );
    return texts.join('\n');
  } finally {
    await client.end();
  }
}
