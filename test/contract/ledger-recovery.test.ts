import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PatientLedger } from '../../agent/ledger/patient-ledger.ts';
import { systemClock } from '../../agent/system-clock.ts';
import { EMPTY_RECORD, type UpdateRecord } from '../../agent/update/core/record.ts';
import { sha256Hex } from '../../protocol/canonical.ts';
import { checkEvent } from '../../protocol/messages.ts';
import { until } from '../support/until.ts';

let folder: string;
let stateDir: string;
const opened: PatientLedger[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wherry-recovery-'));
  stateDir = join(folder, 'state');
  mkdirSync(stateDir);
});
afterEach(() => {
  for (const ledger of opened.splice(0)) ledger.close();
  if (readFileSync('/proc/self/mountinfo', 'utf8').includes(stateDir))
    execFileSync('umount', ['-l', stateDir]);
  rmSync(folder, { recursive: true, force: true });
});

const path = (): string => join(stateDir, 'ledger.db');
const openPatient = (): PatientLedger => {
  const ledger = new PatientLedger({
    path: path(),
    slotsDir: join(stateDir, 'release'),
    clock: systemClock,
    log: { info: () => undefined, warn: () => undefined },
    onChange: () => undefined,
    retryMs: 30,
  });
  opened.push(ledger);
  return ledger;
};
const close = (ledger: PatientLedger): void => {
  opened.splice(opened.indexOf(ledger), 1);
  ledger.close();
};

/** A release as the engine records it; its manifest is large enough to fill pages of its own. */
function recordOf(generation: number): UpdateRecord {
  const manifest = JSON.stringify({ v: 1, generation, padding: 'x'.repeat(20_000) });
  const release = { name: 'boat', version: `${generation}.0`, manifest: sha256Hex(manifest), generation };
  return {
    ...EMPTY_RECORD,
    phase: 'committed',
    about: release,
    accepted: release,
    current: { release, manifest },
    trustedTime: 1_000 * generation,
  };
}
const onDisk = (record: UpdateRecord): unknown => JSON.parse(JSON.stringify(record));
const stopped = { kind: 'service', service: 'web', code: 'stop.by-hand', message: 'x', at: 2 } as const;
const codes = (ledger: PatientLedger): string[] => ledger.outbox.pending(99).map(({ code }) => code);

function overwrite(file: string, position: number, bytes: Buffer): void {
  const handle = openSync(file, 'r+');
  writeSync(handle, bytes, 0, bytes.length, position);
  closeSync(handle);
}

const middle = (): number => Math.floor(statSync(path()).size / 2);
const fill = (): void => {
  const file = openSync(join(stateDir, 'fill'), 'w');
  try {
    for (;;) writeSync(file, Buffer.alloc(4096));
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
  } finally {
    closeSync(file);
  }
};

/** A ledger that was closed in order: all of it in the one file. */
function closedLedger(): UpdateRecord {
  const ledger = openPatient();
  ledger.record(recordOf(6), []);
  ledger.record(recordOf(7), []);
  ledger.services.save('web', 'memory');
  close(ledger);
  return recordOf(7);
}

describe('a ledger that was spoilt goes on from the copies', () => {
  test.each<[string, () => void]>([
    ['zeros in the middle', () => overwrite(path(), middle() / 2, Buffer.alloc(middle()))],
    ['other bytes in the middle', () => overwrite(path(), middle() / 2, Buffer.alloc(middle(), 0xa5))],
    [
      'other letters in a manifest',
      () => writeFileSync(path(), readFileSync(path(), 'latin1').replaceAll('xxxxxx', 'xxyxxx'), 'latin1'),
    ],
    ['cut in half', () => truncateSync(path(), middle())],
    ['cut within its header', () => truncateSync(path(), 50)],
    ['of no length', () => truncateSync(path(), 0)],
    ['gone', () => rmSync(path())],
    ['a folder in its place', () => (rmSync(path()), mkdirSync(path()))],
    ['a folder in place of its WAL', () => mkdirSync(`${path()}-wal`)],
  ])('%s', (_what, spoil) => {
    const record = closedLedger();
    spoil();
    const ledger = openPatient();
    expect(ledger.load()).toEqual(onDisk(record));
    expect(codes(ledger)).toEqual(['agent.ledger-rebuilt']);
    expect(checkEvent(ledger.outbox.pending(1)[0])).toMatchObject({ ok: true });
    expect(ledger.faults()).toEqual([]);
    close(ledger);
    const again = openPatient();
    expect(again.load()).toEqual(onDisk(record));
    expect(codes(again)).toEqual(['agent.ledger-rebuilt']);
  });

  test('a database that goes bad while it is open is put aside, and what supervision knows is kept', () => {
    closedLedger();
    const ledger = openPatient();
    ledger.services.save('api', 'fresh');
    ledger.holds.change('api', '{"v":1}', stopped);
    for (let index = 0; index < 300; index++) ledger.services.save(`filler-${index}`, 'f'.repeat(4_000));
    // The checkpoint has moved most of it from the WAL to the file.
    overwrite(path(), 4096, Buffer.alloc(statSync(path()).size - 4096, 0xa5));
    for (let index = 0; index < 300; index++) ledger.services.save(`filler-${index}`, 'g'.repeat(4_000));
    ledger.record(recordOf(8), []);
    close(ledger);
    const again = openPatient();
    expect(again.load()).toEqual(onDisk(recordOf(8)));
    expect(again.services.load()).toMatchObject({ api: 'fresh', 'filler-7': 'g'.repeat(4_000) });
    expect(again.holds.load()).toEqual({ api: '{"v":1}' });
  });

  test('one of the copies is spoilt too', () => {
    closedLedger();
    const sequenceOf = (slot: string) =>
      JSON.parse(readFileSync(join(stateDir, `release/${slot}.json`), 'utf8')).sequence;
    expect([sequenceOf('a'), sequenceOf('b')]).toEqual([2, 1]);
    truncateSync(path(), 0);
    writeFileSync(join(stateDir, 'release/b.json'), '{"v":1');
    expect(openPatient().load()).toEqual(onDisk(recordOf(7)));
  });

  test('an old file that was put back does not lower the generation floor', () => {
    closedLedger();
    const old = readFileSync(path());
    const ledger = openPatient();
    ledger.record(recordOf(9), []);
    close(ledger);
    writeFileSync(path(), old);
    expect(openPatient().load().accepted?.generation).toBe(9);
  });
});

describe('a disk that is full', () => {
  beforeEach(() => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'wherry-test', stateDir]);
  });
  test('supervision remembers on, updates do not proceed, and all is written when there is room', async () => {
    const ledger = openPatient();
    ledger.record(recordOf(1), []);
    fill();
    for (let index = 0; index < 20; index++) ledger.services.save(`service-${index}`, 'm'.repeat(4_000));
    ledger.outbox.add({
      kind: 'service',
      service: 'web',
      code: 'exit.code',
      message: 'x'.repeat(1000),
      at: 1,
    });
    ledger.holds.change('web', 'first', stopped);
    ledger.holds.change('web', 'second', stopped);
    expect(ledger.faults()).toMatchObject([{ code: 'agent.disk-full' }]);
    expect(ledger.events.waiting().map(({ code }) => code)).toEqual(
      expect.arrayContaining(['exit.code', 'stop.by-hand', 'stop.by-hand']),
    );
    expect(ledger.record(recordOf(2), [])).toBe(false);
    expect(ledger.load().accepted?.generation).toBe(1);
    rmSync(join(stateDir, 'fill'));
    await until(() => ledger.faults().length === 0, { what: 'the end of the fault' });
    expect(codes(ledger)).toEqual(
      expect.arrayContaining(['agent.disk-full', 'exit.code', 'agent.disk-freed']),
    );
    expect(ledger.record(recordOf(2), [])).toBe(true);
    close(ledger);
    const again = openPatient();
    expect(Object.keys(again.services.load())).toHaveLength(20);
    expect(again.holds.load()).toEqual({ web: 'second' });
    const past = again.events.list({ limit: 99 }).map(({ event }) => event.code);
    expect(past.filter((code) => code === 'stop.by-hand')).toHaveLength(2);
    expect(again.load().accepted?.generation).toBe(2);
  });

  test('it opens on a full disk and goes on with its release', () => {
    const before = openPatient();
    before.record(recordOf(3), []);
    close(before);
    fill();
    expect(openPatient().load()).toEqual(onDisk(recordOf(3)));
  });

  test('a spoilt ledger on a full or read-only disk: the release runs on from the copy, and nothing is decided', async () => {
    const before = openPatient();
    before.record(recordOf(3), []);
    close(before);
    writeFileSync(path(), Buffer.alloc(8192, 'rubbish '));
    execFileSync('mount', ['-o', 'remount,ro', stateDir]);
    const ledger = openPatient();
    expect(ledger.load()).toEqual(onDisk(recordOf(3)));
    expect(ledger.faults()).toMatchObject([{ code: 'agent.disk-full' }]);
    expect(ledger.record(recordOf(4), [])).toBe(false);
    expect(existsSync(path())).toBe(true);
    execFileSync('mount', ['-o', 'remount,rw', stateDir]);
    await until(() => ledger.faults().length === 0, { what: 'the end of the fault' });
    expect(ledger.load()).toEqual(onDisk(recordOf(3)));
    expect(readdirSync(stateDir).some((name) => name.includes('.corrupt-'))).toBe(true);
  });
});
