import { expect, test } from 'vitest';
import { type BatchLine, fitLine, takeBatch } from './log-batch.ts';

const line = (text: string): BatchLine => ({ at: 1, stream: 'stdout', text });
const sizeOf = ({ text }: BatchLine) => text.length;

test('a batch is bounded, in order, and nothing is left out', () => {
  const lines = ['aaaa', 'bbbb', 'cccc'].map(line);
  expect(takeBatch(lines, 8, sizeOf).map(({ text }) => text)).toEqual(['aaaa', 'bbbb']);
  expect(lines.map(({ text }) => text)).toEqual(['cccc']);
});

test('a line that is larger than a batch goes alone, cut to what an answer holds', () => {
  const lines = [line('x'.repeat(100)), line('y')];
  expect(takeBatch(lines, 8, sizeOf)).toHaveLength(1);
  const { text } = fitLine(line('🚢'.repeat(4000)));
  expect([...text].length).toBeLessThanOrEqual(4096);
  expect(text.endsWith('🚢 … (cut)')).toBe(true);
});
