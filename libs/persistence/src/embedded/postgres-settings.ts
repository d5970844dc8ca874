/**
 * Settings of the embedded server, given on its command line: one writer process of ours, a small machine, many small
 * durable commits. What is not here keeps PostgreSQL's default.
 */
export const SERVER_SETTINGS: Readonly<Record<string, string>> = {
  max_connections: '100',
  shared_buffers: '128MB',
  wal_buffers: '16MB',
  max_wal_size: '2GB',
  min_wal_size: '256MB',
  checkpoint_timeout: '10min',
  checkpoint_completion_target: '0.9',
  // Nobody replicates from an embedded server.
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_logical_replication_workers: '0',
  // Short statements only: compiling them or spreading them over processes costs more than it saves.
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  // The workers of PostgreSQL 18's asynchronous reads would be three more processes for a log that is read from memory.
  io_method: 'sync',
  update_process_title: 'off',
  // A client whose machine vanished holds its locks no longer than this.
  tcp_keepalives_idle: '5',
  tcp_keepalives_interval: '1',
  tcp_keepalives_count: '4',
  // Work rows and checkpoints are small tables that change thousands of times a second.
  autovacuum_naptime: '10s',
  password_encryption: 'scram-sha-256',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
  log_min_messages: 'warning',
};

/** What makes a commit survive a power cut. Never off outside tests. */
export const durabilityOf = (durable: boolean): Readonly<Record<string, string>> => {
  const value = durable ? 'on' : 'off';
  return { fsync: value, synchronous_commit: value, full_page_writes: value };
};
