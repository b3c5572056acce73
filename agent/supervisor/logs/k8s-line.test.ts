import { expect, test } from 'vitest';
import { LINE_CHARACTERS, LineJoiner } from './k8s-line.ts';

const AT = '2026-11-21T09:47:43.011424651+00:00';

test('a full line has its time, stream and text, spaces and all', () => {
  expect(new LineJoiner().push(`${AT} stderr F  two  words `)).toEqual({
    at: Date.parse('2026-11-21T09:47:43.011Z'),
    stream: 'stderr',
    text: ' two  words ',
  });
});

test('an empty line is a line', () => {
  expect(new LineJoiner().push(`${AT} stdout F `)?.text).toBe('');
});

test('pieces are joined within their stream', () => {
  const joiner = new LineJoiner();
  expect(joiner.push(`${AT} stdout P one `)).toBeUndefined();
  expect(joiner.push(`${AT} stderr F other`)?.text).toBe('other');
  expect(joiner.push(`${AT} stdout F two`)?.text).toBe('one two');
});

test('a line without end is given in pieces', () => {
  const piece = 'x'.repeat(LINE_CHARACTERS);
  expect(new LineJoiner().push(`${AT} stdout P ${piece}`)?.text).toHaveLength(LINE_CHARACTERS);
});

test('what is not of the format is dropped', () => {
  expect(new LineJoiner().push('ut F half a line')).toBeUndefined();
});
