/** A role's name as part of a file name or URL: everything but letters, digits and `_.-~` as %XX, so no `/` is left. */
export const quoteRole = (role: string): string =>
  encodeURIComponent(role).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** Undefined when it is not what `quoteRole` gives. */
export function unquoteRole(text: string): string | undefined {
  try {
    const role = decodeURIComponent(text);
    return quoteRole(role) === text ? role : undefined;
  } catch {
    return undefined;
  }
}
