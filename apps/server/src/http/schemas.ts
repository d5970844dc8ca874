import { Rejected } from '#libs/kernel/src/errors.js';

/** JSON Schemas of what people write, by file name: `workflow.json`. Its own injection token. */
export class Schemas {
  constructor(private readonly schemas: Readonly<Record<string, object>>) {}

  /** @throws Rejected `schema.not_found` */
  find(name: string): object {
    const schema = Object.hasOwn(this.schemas, name) ? this.schemas[name] : undefined;
    if (schema) return schema;
    const available = Object.keys(this.schemas).join(', ');
    throw new Rejected('not_found', 'schema.not_found', `There is no schema ${name}. Available: ${available}.`);
  }
}
