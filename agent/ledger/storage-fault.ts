/** `unwritable`: nothing can be stored now, and it may pass. `corrupt`: what is stored cannot be read. */
export type StorageFault = 'unwritable' | 'corrupt';

const UNWRITABLE = /^(SQLITE_(FULL|IOERR|READONLY|CANTOPEN|NOMEM)|ENOSPC$|EDQUOT$|EROFS$|EIO$)/;
const CORRUPT = /^SQLITE_(CORRUPT|NOTADB)/;

/** What a failed write or read says of the disk; undefined when it is not the disk's fault. */
export function storageFaultOf(error: unknown): StorageFault | undefined {
  const code = String((error as { code?: unknown } | undefined)?.code ?? '');
  if (CORRUPT.test(code)) return 'corrupt';
  return UNWRITABLE.test(code) ? 'unwritable' : undefined;
}
