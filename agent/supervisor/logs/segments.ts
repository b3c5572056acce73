import { readdirSync } from 'node:fs';

/** A part of a service's log on disk. Numbers only go up, so that order needs no clock and followers never lose it. */
export interface Segment {
  number: number;
  name: string;
  /** Holds the first lines of a specification: kept until there is a newer such one. */
  isEarly: boolean;
}

const NAME = /^(\d{8})(\.early)?\.log$/;

export const segmentName = (number: number, isEarly: boolean): string =>
  `${String(number).padStart(8, '0')}${isEarly ? '.early' : ''}.log`;

/** Segments of a folder, oldest first; none of one that is not there. */
export function listSegments(folder: string): Segment[] {
  const names = namesIn(folder).filter((name) => NAME.test(name));
  return names.sort().map((name) => ({
    number: Number(name.slice(0, 8)),
    name,
    isEarly: name.includes('.early.'),
  }));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
