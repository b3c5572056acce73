import { statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { parseOfferName } from '../../protocol/delta/offer.ts';
import { isObjectName } from '../../protocol/objects.ts';
import type { Deltas } from '../deltas/deltas.ts';
import { metadataText } from '../releases/metadata-store.ts';
import type { ObjectStore } from '../releases/object-store.ts';
import type { Database } from '../store/tables.ts';

/** One object while it is being served; `release` it when done. */
export interface OpenObject {
  bytes: number;
  /** Fills the memories given, one after the other. */
  readInto(targets: Buffer[], position: number): Promise<void>;
  release(): void;
}

/** Gives the bytes behind every name of protocol/objects.ts. */
export interface ObjectReader {
  open(name: string): Promise<OpenObject | undefined>;
  close(): Promise<void>;
}

interface Held {
  file: FileHandle;
  bytes: number;
  inode: number;
  users: number;
  /** Another file stands in its place: closed with its last user. */
  isReplaced: boolean;
}

export interface ObjectReaderParts {
  db: Database;
  objects: Pick<ObjectStore, 'pathOf'>;
  deltas: Pick<Deltas, 'offer' | 'pathOf'>;
}

/** Reads metadata from the database, deltas as they are wanted, and content from the object folder, with up to `mostFiles` idle files open. */
export function objectReader({ db, objects, deltas }: ObjectReaderParts, mostFiles: number): ObjectReader {
  const pathOf = (name: string) => (name.startsWith('delta-') ? deltas : objects).pathOf(name);
  // Insertion order is age: a file that is used moves to the end.
  const held = new Map<string, Promise<Held | undefined>>();

  async function trim(): Promise<void> {
    for (const [name, opening] of held) {
      if (held.size <= mostFiles) return;
      const entry = await opening.catch(() => undefined);
      if (entry && entry.users > 0) continue;
      if (held.get(name) !== opening) continue;
      held.delete(name);
      await entry?.file.close();
    }
  }

  /** A damaged object that was deleted and uploaded again is served whole from the next request on. */
  async function dropReplaced(name: string): Promise<void> {
    const opening = held.get(name);
    const entry = await opening?.catch(() => undefined);
    if (!entry || inodeOf(pathOf(name)) === entry.inode) return;
    if (held.get(name) !== opening) return;
    held.delete(name);
    entry.isReplaced = true;
    if (entry.users === 0) await entry.file.close();
  }

  async function openFile(name: string): Promise<OpenObject | undefined> {
    await dropReplaced(name);
    const opening = held.get(name) ?? openHeld(pathOf(name));
    held.delete(name);
    held.set(name, opening);
    const entry = await opening.catch((error: unknown) => {
      held.delete(name);
      throw error;
    });
    if (!entry) {
      held.delete(name);
      return undefined;
    }
    entry.users++;
    await trim();
    const readInto = async (targets: Buffer[], position: number): Promise<void> => {
      const { bytesRead } = await entry.file.readv(targets, position);
      if (bytesRead !== targets.reduce((sum, { length }) => sum + length, 0))
        throw new Error(`Cannot read ${name}: it ends at ${position + bytesRead}`);
    };
    return {
      bytes: entry.bytes,
      readInto,
      release: () => {
        entry.users--;
        if (entry.isReplaced && entry.users === 0) void entry.file.close();
      },
    };
  }

  return {
    open: async (name) => {
      if (!isObjectName(name)) return undefined;
      if (/^(?:blob|leaves|manifest|delta)-/.test(name)) return openFile(name);
      const wanted = parseOfferName(name);
      if (wanted) {
        const offer = await deltas.offer(wanted.digest, wanted.candidates);
        return inMemory(Buffer.from(JSON.stringify(offer)));
      }
      const text = await metadataText(db, name);
      return text === undefined ? undefined : inMemory(Buffer.from(text));
    },
    close: async () => {
      for (const opening of held.values()) await (await opening)?.file.close();
      held.clear();
    },
  };
}

async function openHeld(path: string): Promise<Held | undefined> {
  try {
    const file = await open(path, 'r');
    const { size, ino } = await file.stat();
    return { file, bytes: size, inode: ino, users: 0, isReplaced: false };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** At once: the file is open, so the kernel has its name at hand; and this is asked for every few chunks. */
const inodeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.ino;

const inMemory = (content: Buffer): OpenObject => ({
  bytes: content.length,
  readInto: async (targets, position) => {
    let at = position;
    for (const target of targets) at += content.copy(target, 0, at);
  },
  release: () => {},
});
