/** Which organisations are archived. Asks memory only. Its own injection token. */
export abstract class Organisations {
  /** Whether nothing new begins in it: no request is accepted, and no schedule fires. */
  abstract isArchived(orgId: string): boolean;
}
