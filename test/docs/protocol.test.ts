import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PROTOCOL_DOC, renderProtocolDoc } from '../../scripts/protocol-doc.ts';

test('docs/protocol.md shows every field, limit and reason code as protocol/ has them', () => {
  const text = readFileSync(PROTOCOL_DOC, 'utf8');
  expect(text, 'run `npm run docs`').toBe(renderProtocolDoc(text));
});
