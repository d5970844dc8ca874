export const subscriberEvents = {} as const;
