import type { EnrolAnswer, EnrolmentDesk, EnrolRefused } from './enrol-port.ts';
import { NOW } from './fake-status.ts';
import type { PlanAnswer, PlanDesk, PlanRefused, UpdateCheckAnswer } from './plan-port.ts';

/** Plans that are data: tests set what comes. */
export class FakePlans implements PlanDesk {
  checked: UpdateCheckAnswer = {
    verdict: 'nothing-offered',
    why: [],
    metadata: { state: 'fresh', checkedAt: NOW, expiresAt: NOW + 86_400_000 },
    link: { state: 'connected', since: NOW - 60_000 },
  };
  planned: PlanAnswer | PlanRefused = {
    code: 'no-update',
    refused: 'Cannot plan it: no release is on its way',
  };
  readonly asked: (string | undefined)[] = [];

  check(): Promise<UpdateCheckAnswer> {
    return Promise.resolve(this.checked);
  }

  plan(folder: string | undefined): Promise<PlanAnswer | PlanRefused> {
    this.asked.push(folder);
    return Promise.resolve(this.planned);
  }
}

/** Takes any join string, until a test sets a refusal. */
export class FakeEnrolment implements EnrolmentDesk {
  refusal: EnrolRefused | undefined;
  readonly asked: Parameters<EnrolmentDesk['enrol']>[0][] = [];

  enrol(request: Parameters<EnrolmentDesk['enrol']>[0]): Promise<EnrolAnswer | EnrolRefused> {
    this.asked.push(request);
    const answer = { device: request.name ?? 'boathouse-1', tenant: 'demo', server: 'fleet.example:8883' };
    return Promise.resolve(this.refusal ?? answer);
  }
}
