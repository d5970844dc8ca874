export const ruleEvents = {} as const;
