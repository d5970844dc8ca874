/** What the environment decides, parsed and checked by the app before anything starts. Its own injection token. */
export class Settings {
  constructor(values: Readonly<Settings>) {
    Object.assign(this, values);
  }
  /** How the outside reaches this server, without a trailing slash. */
  readonly publicUrl!: string;
  /** YAML synced at start and on change; absolute. */
  readonly workflowsDir!: string;
  readonly allowHttpTargets!: boolean;
  /** CIDRs that outbound calls may reach although private. */
  readonly allowPrivateTargets!: readonly string[];
  /** CIDRs whose `X-Forwarded-For` is believed. */
  readonly trustProxy!: readonly string[];
  /** Outbound retry delays in milliseconds, what the shipped workflow reads. */
  readonly retrySchedule!: readonly number[];
  /** Delays in milliseconds between attempts of an action of a plug-in; one attempt more than there are delays. */
  readonly actionRetrySchedule!: readonly number[];
  /** Events that one event may lead to, all in all; beyond it nobody acts on what follows. */
  readonly correlationBudget!: number;
  /** Most milliseconds between an event and the checkpoint that covers it. */
  readonly sealEvery!: number;
  /** Where checkpoints are appended too; absolute. */
  readonly checkpointFile!: string | undefined;
  /** Submission prefix of the witness that signs checkpoints too (c2sp.org/tlog-witness), without a slash at the end. */
  readonly witnessUrl!: string | undefined;
  readonly plugins!: readonly string[];
  /** Absolute paths of the programs that `command` agents may run. */
  readonly agentCommands!: readonly string[];
}
