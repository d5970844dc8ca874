export const integrationEvents = {} as const;
