export const gitEvents = {} as const;
