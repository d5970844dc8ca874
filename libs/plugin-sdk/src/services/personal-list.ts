/** What a provider knows about the people in its events. */
export interface PersonalList {
  /**
   * Which fields of its events belong to whom, for integrations with `personal: true`. `subject` is JMESPath over the event:
   * the id of a person, or a list of ids. `fields` are paths in `data`, such as `data.payload.commits[*].author`. They are
   * encrypted under the keys of these people, and cannot be read any more once one of them is erased.
   */
  readonly personal?: readonly { readonly subject: string; readonly fields: readonly string[] }[];
}
