/** Opcodes of one byte whose operand is often RIP-relative: what compilers emit. */
const OPCODES = new Set([
  0x01, 0x03, 0x0b, 0x10, 0x23, 0x29, 0x2b, 0x33, 0x38, 0x39, 0x3a, 0x3b, 0x63, 0x6f, 0x80, 0x81, 0x83, 0x84,
  0x85, 0x88, 0x89, 0x8a, 0x8b, 0x8d, 0xc6, 0xc7, 0xf6, 0xf7, 0xff,
]);
/** What precedes an operand: at most so many bytes are looked at. */
export const X86_LEAD_BYTES = 3;
const MOST_DISTANCE = 2 ** 26;

/**
 * Whether a displacement of 32 bits may begin at `at`, by the bytes before it: call, jmp, jcc, or a RIP-relative operand
 * (Intel SDM volume 2, 2.2.1.6). A guess: a wrong one costs bytes and nothing else.
 */
export function isX86Reference(code: Buffer, at: number): boolean {
  const last = code[at - 1] as number;
  if (last === 0xe8 || last === 0xe9) return true;
  const opcode = code[at - 2] as number;
  if ((last & 0xf0) === 0x80 && opcode === 0x0f) return true;
  return (last & 0xc7) === 0x05 && (code[at - 3] === 0x0f || OPCODES.has(opcode));
}

export const isX86Distance = (displacement: number): boolean =>
  displacement > -MOST_DISTANCE && displacement < MOST_DISTANCE;
