export const deliveryEvents = {} as const;
