/** Of one secret, in bytes; all of a service lie in a tmpfs of 1 MiB. */
export const SECRET_BYTES = 64 * 1024;
