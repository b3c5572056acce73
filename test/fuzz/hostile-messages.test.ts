import { sign } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgeManifest } from '../../agent/update/check-manifest.ts';
import { openAssignment } from '../../protocol/assignment.ts';
import { sha256Hex } from '../../protocol/canonical.ts';
import { CHUNK_HEADER_BYTES, decodeBitmap, decodeChunk, encodeChunk } from '../../protocol/chunk-frame.ts';
import { checkOffer, parseOfferName } from '../../protocol/delta/offer.ts';
import { parseJoinString } from '../../protocol/enrolment.ts';
import { LIMITS } from '../../protocol/limits.ts';
import {
  checkAck,
  checkEvent,
  checkFault,
  checkGet,
  checkHello,
  checkReport,
} from '../../protocol/messages.ts';
import { isObjectName } from '../../protocol/objects.ts';
import { checkPostMortem } from '../../protocol/post-mortem.ts';
import { REASONS } from '../../protocol/reasons.ts';
import { checkAbilities, checkAnswer, checkAsk, checkMore } from '../../protocol/remote.ts';
import { checkTimeRequest, openTime, signTime } from '../../protocol/signed-time.ts';
import { parseUpTopic } from '../../protocol/topics.ts';
import { TestRepository } from '../support/test-repository.ts';
import { corpusOf } from './corpus.ts';
import { must } from './must.ts';
import { changed, changes, spoilings, spoilt } from './mutations.ts';

const repository = new TestRepository();
const layer = await repository.layer(1_000);
const release = repository.publish('1.0.0', [layer]);
const envelope = repository.assign(release);
const board = {
  name: 'generic-amd64',
  title: 'Generic',
  platform: 'linux/amd64' as const,
  memory: '512MiB',
  cpus: 2,
  reserve: { system: '64MiB', agent: '64MiB' },
};
const isCode = (code: string): boolean => Object.hasOwn(REASONS, code);
const parsed = (content: Buffer): unknown => {
  try {
    return JSON.parse(content.toString('utf8'));
  } catch {
    return undefined;
  }
};

function expectInBounds(message: Buffer): void {
  const decoded = decodeChunk(message);
  if (!decoded) return;
  const { index, chunkBytes, objectBytes, payload } = decoded;
  must(payload.length === message.length - CHUNK_HEADER_BYTES, 'its payload is not what came');
  must(payload.length <= LIMITS.maxChunkBytes, 'its payload is too long');
  must(objectBytes <= LIMITS.blobBytes, 'its object is too large');
  must(index * chunkBytes + payload.length <= objectBytes, 'it reaches past its object');
}

function expectRefusedOrSame(document: unknown): void {
  const opened = openAssignment(document, repository.fleetKeyPem);
  must(opened.ok || isCode(opened.code), 'it is refused without a code');
  must(
    !opened.ok || isDeepStrictEqual(opened.assignment, JSON.parse(envelope.payload)),
    'it says something else',
  );
}

const place = { board, platform: 'linux/amd64', slots: undefined } as const;
const judge = (content: Buffer) =>
  judgeManifest(content, { ...release, manifest: sha256Hex(content), generation: 1 }, place);

describe('assignments', () => {
  test('one that was changed is refused by a code, or says what was signed', () => {
    fc.assert(fc.property(changes, (places) => expectRefusedOrSame(changed(envelope, places))));
  });

  test('one that is signed and malformed is refused by a code', () => {
    const assignment: unknown = JSON.parse(envelope.payload);
    fc.assert(
      fc.property(changes, (places) => {
        const payload = JSON.stringify(changed(assignment, places) ?? null);
        const signature = sign(null, Buffer.from(payload), repository.fleetKey).toString('base64');
        const opened = openAssignment({ v: 1, payload, signature }, repository.fleetKeyPem);
        must(opened.ok || isCode(opened.code), 'it is refused without a code');
      }),
    );
  });

  test.for(corpusOf('assignment'))('%s is refused', ([, content]) => {
    const opened = openAssignment(parsed(content), repository.fleetKeyPem);
    expect(opened.ok).toBe(false);
  });
});

describe('manifests', () => {
  test('one that was changed is taken or refused by a code', () => {
    fc.assert(
      fc.property(changes, (places) => {
        const judged = judge(Buffer.from(JSON.stringify(changed(release.document, places)) ?? ''));
        must(judged.ok || isCode(judged.code), 'it is refused without a code');
      }),
    );
  });

  test('bytes that were spoilt are taken or refused by a code', () => {
    const text = Buffer.from(JSON.stringify(release.document));
    fc.assert(
      fc.property(spoilings, (cuts) => {
        const judged = judge(spoilt(text, cuts));
        must(judged.ok || isCode(judged.code), 'it is refused without a code');
      }),
    );
  });

  test.for(corpusOf('manifest'))('%s is refused', ([, content]) => {
    const judged = judge(content);
    expect(judged).toMatchObject({ ok: false, code: 'refused.manifest-malformed' });
  });
});

describe('chunk frames', () => {
  const frame = encodeChunk({
    request: 7,
    index: 3,
    chunkBytes: LIMITS.minChunkBytes,
    objectBytes: 3 * LIMITS.minChunkBytes + 100,
    payload: Buffer.alloc(100, 5),
  });

  test('a spoilt or made-up one never reaches past its object', () => {
    fc.assert(fc.property(spoilings, (cuts) => expectInBounds(spoilt(frame, cuts))));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => expectInBounds(Buffer.from(bytes))));
  });

  test('a bitmap names no more chunks than one request may', () => {
    fc.assert(
      fc.property(fc.nat(), fc.oneof(fc.string({ maxLength: 200 }), fc.base64String()), (first, text) => {
        must((decodeBitmap(first, text)?.length ?? 0) <= LIMITS.chunksPerGet, 'it names too many chunks');
      }),
    );
  });

  test.for(corpusOf('chunk-frame'))('%s is no frame', ([, content]) => {
    expect(decodeChunk(Buffer.from(content.toString('latin1').trim(), 'hex'))).toBeUndefined();
  });
});

describe('other messages', () => {
  const asked = { device: 'boat-1', nonce: 'n'.repeat(32) };
  const answer = signTime(asked.device, asked.nonce, 1_700_000_000_000, repository.fleetKey);
  const at = 1_000;
  const samples: [string, (document: unknown) => unknown, unknown][] = [
    ['hello', checkHello, { v: 1, agent: '1.0.0', board: 'b', bootId: 'c' }],
    ['report', checkReport, { v: 1, at, generation: 0, services: [], update: { phase: 'idle', since: 0 } }],
    ['event', checkEvent, { v: 1, id: 'a', kind: 'device', code: 'agent.disk-full', message: 'm', at }],
    [
      'get',
      checkGet,
      { v: 1, request: 1, object: 'timestamp', first: 0, bitmap: 'AQ==', chunkBytes: 65_536 },
    ],
    ['ack', checkAck, { v: 1, ids: ['a'] }],
    ['fault', checkFault, { v: 1, request: 1, code: 'busy', message: 'later', retryAfterMs: 1 }],
    ['time request', checkTimeRequest, { v: 1, nonce: asked.nonce }],
    ['offer', checkOffer, { v: 1, state: 'ready', delta: 'a'.repeat(64), bytes: 10, old: 'b'.repeat(64) }],
    ['abilities', checkAbilities, { v: 1, session: 'ab'.repeat(16), at, actions: ['why'] }],
    [
      'ask',
      checkAsk,
      {
        v: 1,
        id: 'ab'.repeat(16),
        session: 'cd'.repeat(16),
        expiresAt: at,
        by: 'a',
        action: 'why',
        lifeMs: 1,
      },
    ],
    [
      'more',
      checkMore,
      { v: 1, id: 'ab'.repeat(16), credit: 1, input: 'YQ==', resize: { columns: 1, rows: 1 } },
    ],
    ['answer', checkAnswer, { v: 1, id: 'ab'.repeat(16), sequence: 0, data: 'YQ==', stream: 'stdout' }],
    ['post-mortem', checkPostMortem, { v: 1, id: 'a', service: 's', at, log: ['x'] }],
  ];

  test.for(samples)('%s: whatever comes is taken or refused with what is wrong', ([, check, sample]) => {
    fc.assert(
      fc.property(changes, (places) => {
        const checked = check(changed(sample, places)) as { ok: boolean; faults?: string[] };
        must(checked.ok || (checked.faults?.length ?? 0) > 0, 'it is refused without a fault');
      }),
    );
  });

  test('a signed time that was changed is not believed', () => {
    fc.assert(
      fc.property(changes, (places) => {
        const told = openTime(changed(answer, places), asked, repository.fleetKeyPem);
        must(told === undefined || told === 1_700_000_000_000, `it is ${told}`);
      }),
    );
  });

  test('names, topics and join strings of any text are parsed or not, and nothing else', () => {
    const text = fc.oneof(fc.string({ maxLength: 90 }), fc.string({ unit: 'binary', maxLength: 40 }));
    fc.assert(
      fc.property(text, (any) => {
        parseUpTopic(any);
        parseJoinString(any);
        parseOfferName(any);
        must(!isObjectName(any) || /^[a-z0-9-]+$/.test(any), `${any} is no name of a file`);
      }),
    );
  });
});
