import { readFile } from 'node:fs/promises';
import { sha256Hex } from '../../../protocol/canonical.ts';
import { replaceFile } from '../../../protocol/durable-file.ts';

/** Which pieces of a partial blob are verified and on disk. On file: version, checksum and one bit for each piece. */
export class PieceMap {
  readonly #bits: Buffer;
  readonly #count: number;

  constructor(count: number, bits = Buffer.alloc(Math.ceil(count / 8))) {
    this.#count = count;
    this.#bits = bits;
  }

  /** An unreadable or foreign file counts as empty: what it named is fetched again. */
  static async read(path: string, count: number): Promise<PieceMap> {
    try {
      const { v, sha256, bits } = JSON.parse(await readFile(path, 'utf8'));
      const bytes = Buffer.from(String(bits), 'base64');
      if (v === 1 && sha256Hex(bytes) === sha256 && bytes.length === Math.ceil(count / 8))
        return new PieceMap(count, bytes);
    } catch {
      // Falls through to an empty map.
    }
    return new PieceMap(count);
  }

  has(piece: number): boolean {
    return ((this.#bits[piece >> 3] ?? 0) & (1 << (piece & 7))) !== 0;
  }

  add(piece: number): void {
    this.#bits[piece >> 3] = (this.#bits[piece >> 3] ?? 0) | (1 << (piece & 7));
  }

  missing(): number[] {
    const missing = [];
    for (let piece = 0; piece < this.#count; piece++) if (!this.has(piece)) missing.push(piece);
    return missing;
  }

  /** Only after the pieces it names are synced. Durable at return. */
  async write(path: string): Promise<void> {
    const record = { v: 1, sha256: sha256Hex(this.#bits), bits: this.#bits.toString('base64') };
    await replaceFile(path, JSON.stringify(record));
  }
}
