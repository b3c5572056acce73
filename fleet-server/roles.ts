/** Weakest first. An operator looks at everything and helps services along; an administrator does all the rest. */
export const ROLES = ['operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export const mayActAs = (has: Role, wanted: Role): boolean => ROLES.indexOf(has) >= ROLES.indexOf(wanted);
