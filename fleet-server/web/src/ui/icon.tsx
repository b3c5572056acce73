import type { Tone } from '../format/words.ts';

const SHAPES: Record<Tone, string> = {
  ok: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm3.300 5.300-4 4.200a.8.8 0 0 1-1.150 0L4.500 8.800l1.150-1.100 1.100 1.150 3.400-3.600Z',
  busy: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.700V8l3.800 3.700A5.300 5.300 0 1 1 8 2.700Z',
  warn: 'M8 1.200c.5 0 .9.250 1.150.7l6 11c.5.9-.150 1.900-1.150 1.900H2c-1 0-1.650-1-1.150-1.900l6-11c.25-.45.65-.7 1.150-.7ZM7.200 5.500v4.300h1.600V5.500Zm.8 7.300a1 1 0 1 0 0-2 1 1 0 0 0 0 2Z',
  bad: 'M5 1h6l4 4v6l-4 4H5l-4-4V5Zm.9 3.800L4.800 5.900 6.900 8l-2.100 2.100 1.100 1.100L8 9.100l2.100 2.100 1.100-1.100L9.100 8l2.100-2.100-1.100-1.100L8 6.900Z',
  quiet: 'M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1Zm0 1.700a5.300 5.300 0 1 0 0 10.600A5.300 5.300 0 0 0 8 2.700Z',
};

export function ToneIcon({ tone }: { tone: Tone }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={SHAPES[tone]} fill="currentColor" fillRule="evenodd" />
    </svg>
  );
}

/** A wherry under sail. */
export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path className="mark-sail" d="M14 3v18H4.500C9 17 12.500 11 14 3Z" />
      <path className="mark-jib" d="M16 7c4.500 3 7.500 8 8.500 14H16Z" />
      <path
        className="mark-hull"
        d="M2.500 23h27c-1.500 3.600-4.500 6-8.500 6H10c-4 0-6.500-2.600-7.500-6Z"
      />
    </svg>
  );
}
