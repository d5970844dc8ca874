export const issueEvents = {} as const;
