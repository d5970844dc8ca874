import pg from 'pg';

import { randomText } from '#libs/kernel/src/ids.js';

export interface TestDatabase {
  readonly url: string;
  /** Ends every connection to it and removes it. */
  drop(): Promise<void>;
}

export interface DatabaseOptions {
  /** Without any migration. */
  readonly empty?: boolean;
  /** With what is in another one, which nobody is connected to. */
  readonly copyOf?: TestDatabase;
}

/** A fresh database in the PostgreSQL of this jest run, with all migrations unless it is to be `empty`. */
export async function createTestDatabase({ empty, copyOf }: DatabaseOptions = {}): Promise<TestDatabase> {
  const server = process.env['MILLRACE_TEST_POSTGRES'];
  if (!server) throw new Error('There is no PostgreSQL in this run: only int and e2e specs have one.');
  const name = `test_${Buffer.from(randomText(9), 'base64url').toString('hex')}`;
  const template = copyOf ? nameOf(copyOf.url) : empty ? 'template0' : 'template1';
  await statement(server, `create database ${name} template ${template}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => statement(server, `drop database if exists ${name} with (force)`) };
}

const nameOf = (url: string): string => new URL(url).pathname.slice(1);

async function statement(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
