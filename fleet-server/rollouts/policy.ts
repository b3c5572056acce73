import type { UpdatePolicy } from '../../protocol/update-policy.ts';

/** As a column keeps it; null = asks for nothing. */
export const policyOf = (json: string | null): UpdatePolicy | undefined =>
  json === null ? undefined : (JSON.parse(json) as UpdatePolicy);

export const policyJson = (policy: UpdatePolicy | undefined): string | null =>
  policy === undefined || Object.keys(policy).length === 0 ? null : JSON.stringify(policy);

const NAME_MAX = 64;
export const urgentBy = (who: string): NonNullable<UpdatePolicy['urgent']> => ({
  by: who.slice(0, NAME_MAX),
});
