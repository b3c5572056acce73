import { LOCAL_API_LIMITS } from './limits.ts';

/** The fields of a JSON object; none of an empty body; undefined when it is something else. */
export function fieldsOf(body: Buffer): Record<string, unknown> | undefined {
  if (body.length === 0) return {};
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Who the caller says they are. It is a note for the record, not a credential: the socket's mode is what admits, and
 * Node cannot read SO_PEERCRED.
 */
export function nameField(body: Buffer, field: string): string | undefined {
  const fields = fieldsOf(body);
  if (fields === undefined) return undefined;
  const name = body.length === 0 ? 'local' : fields[field];
  return typeof name === 'string' && isName(name) ? name : undefined;
}

/** A time in whole milliseconds, as long as a hold may be: a caller says for how long, the agent's clock says when. */
export function durationField(body: Buffer, field: string): number | undefined {
  const ms = fieldsOf(body)?.[field];
  return Number.isInteger(ms) && Number(ms) >= 1 && Number(ms) <= LOCAL_API_LIMITS.holdMs
    ? Number(ms)
    : undefined;
}

/** What others are to read, in somebody's words. */
export const isLine = (text: string): boolean =>
  /^[^\p{Cc}\p{Cf}]+$/u.test(text) && text.length <= LOCAL_API_LIMITS.whyCharacters;

export const isName = (by: string): boolean =>
  /^[\x20-\x7e]+$/.test(by) && by.length <= LOCAL_API_LIMITS.whoCharacters;
