export const webhookEvents = {} as const;
