/** Whether a header by this lower-case name proves who sent the request: what is stored in the log must not. */
export const isProofHeader = (name: string): boolean => /signature|token|secret|authorization|cookie/.test(name);
