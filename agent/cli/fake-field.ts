import type { MakeBundle } from '../diagnostics/bundle/make-bundle.ts';
import type { Diagnosis } from '../diagnostics/core/finding.ts';
import type { DiagnoseOptions } from '../diagnostics/field.ts';
import type { LastKnown } from '../diagnostics/last-known.ts';
import { fakeService, NOW } from '../local-api/fake-status.ts';
import type { LogLine, LogQuery } from '../local-api/ports.ts';
import type { Field } from './field.ts';

const check = (
  name: string,
  verdict: Diagnosis['checks'][number]['verdict'],
  found: string,
  advice?: string,
) => ({
  check: name,
  verdict,
  found,
  ...(advice !== undefined && { advice }),
  tookMs: 12,
});

/** A Raspberry Pi with the classic fault and a plugin. */
export const fakeDiagnosis: Diagnosis = {
  at: NOW,
  verdict: 'fail',
  checks: [
    check('agent', 'ok', 'agent 7.8.9, link connected'),
    check('clock', 'ok', '2026-11-21T10:00:00Z, synchronised'),
    check(
      'power',
      'warn',
      'The supply voltage was too low at some time since the boot',
      'use the power supply made for the board and a short, thick cable',
    ),
    check(
      'cgroups',
      'fail',
      'The kernel offers no cgroup controller for memory; the kernel command line says cgroup_disable=memory: no service can be held to its budget',
      'add "cgroup_enable=memory cgroup_memory=1" to the one line of /boot/firmware/cmdline.txt (Raspberry Pi), and reboot',
    ),
    check('broker', 'skipped', 'Cannot tell, because no network leads to fleet.example:8883 (see route)'),
    check('plugin:check-rs485-adapter', 'ok', 'The adapter answers\u001b[2J in 3 ms'),
  ],
};

export const fakeKnown = (socket: string): LastKnown => ({
  socket,
  seenAt: NOW - 95_000,
  unit: 'failed (failed, result signal) since Sat 2026-11-21 09:58:25 UTC',
  device: {
    id: 'dev-7f3a',
    board: 'raspberrypi4',
    platform: 'linux/arm64',
    tenant: 'acme',
    server: 'fleet.example:8883',
  },
  update: { phase: 'committed', since: NOW - 3_600_000 },
  current: { name: 'demo', version: '1.0.0', manifest: 'a'.repeat(64), generation: 4 },
  services: [
    { ...fakeService('sensor'), container: { state: 'running', pid: 900 } },
    {
      ...fakeService('web', { state: 'crash_looping', since: NOW - 7_000, restarts: 3, pid: undefined }),
      container: { state: 'exited', exitCode: 1 },
    },
  ],
  gaps: [],
});

/** The device without its agent, as data: tests set the fields. A fault is thrown in the place of an answer. */
export class FakeField implements Field {
  diagnosis: Diagnosis | Error = fakeDiagnosis;
  known: LastKnown | Error = new Error('Cannot read configuration $DIR/agent.json: ENOENT');
  kept: Record<string, LogLine[]> = {};
  bundleText: string | Error = 'Wherry support bundle\n';
  readonly bundlesAsked: Omit<MakeBundle, 'signal'>[] = [];

  async diagnose({ agent, onProgress }: DiagnoseOptions): Promise<Diagnosis> {
    if (this.diagnosis instanceof Error) throw this.diagnosis;
    onProgress?.('images', '3 of 12 blobs');
    const { checks } = this.diagnosis;
    const told =
      typeof agent === 'string' ? [check('agent', 'fail', `It does not answer: ${agent}`, 'start it')] : [];
    return { ...this.diagnosis, checks: [...told, ...checks.slice(told.length)] };
  }

  async *bundle({ signal: _signal, ...asked }: MakeBundle): AsyncGenerator<Uint8Array> {
    this.bundlesAsked.push(asked);
    if (this.bundleText instanceof Error) throw this.bundleText;
    yield Buffer.from(this.bundleText);
  }

  async lastKnown(): Promise<LastKnown> {
    if (this.known instanceof Error) throw this.known;
    return this.known;
  }

  async logs(
    _configFile: string,
    service: string,
    { tail }: LogQuery,
  ): Promise<AsyncIterable<LogLine> | undefined> {
    const lines = this.kept[service];
    return lines && given(tail === 0 ? [] : lines.slice(-tail));
  }
}

async function* given(lines: LogLine[]): AsyncGenerator<LogLine> {
  yield* lines;
}
