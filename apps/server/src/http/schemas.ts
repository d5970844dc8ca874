/** JSON Schemas of what people write, by file name: `workflow.json`. Its own injection token. */
export class Schemas {
  constructor(private readonly schemas: Readonly<Record<string, object>>) {}

  get names(): readonly string[] {
    return Object.keys(this.schemas);
  }

  get(name: string): object | undefined {
    return Object.hasOwn(this.schemas, name) ? this.schemas[name] : undefined;
  }
}
