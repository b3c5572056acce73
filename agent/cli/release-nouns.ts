/** Nouns that the release tools answer, with their lines for the list of commands. */
export const RELEASE_NOUNS: Record<string, string> = {
  release: 'build, sign, inspect and push a release',
  keys: 'make and look after the signing keys',
};
