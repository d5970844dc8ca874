export const accessEvents = {} as const;
