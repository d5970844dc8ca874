export const workflowEvents = {} as const;
