import { type PostMortem, summaryOf as shorten } from '../../../../protocol/post-mortem.ts';
import type {
  AskUpdateSizes,
  CheckWindows,
  DeviceEvents,
  DeviceMetrics,
  DevicePostMortems,
  EnrolmentToken,
  Problem,
  Release,
  Rollout,
  Session,
  StartRollout,
} from '../../../rest/api.ts';
import { scheduleWords } from '../../../rollouts/core/schedule-words.ts';
import { summaryOf } from './device.ts';
import type { Fleet } from './fleet.ts';
import { digest } from './ids.ts';
import { remotePost, remoteWhy } from './remote.ts';
import { updateSizes } from './update-sizes.ts';

export interface Ask {
  method: string;
  path: string;
  body: unknown;
  isSignedIn: boolean;
  now: number;
}
export interface Reply {
  status: number;
  body?: unknown;
  session?: 'start' | 'end';
}

const PASSWORD = 'wherry';

export function respond(fleet: Fleet, ask: Ask): Reply {
  const { method, path } = ask;
  if (path === '/session') return session(ask);
  if (!ask.isSignedIn) return problem(401, 'unauthenticated', 'Cannot answer: nobody is signed in');
  if (method === 'POST') return post(fleet, ask);
  const [, collection, id = '', part, item] = path.split('/').map(decodeURIComponent);
  if (part === 'services') return remoteWhy(fleet, path);
  if (part === 'pin') return pin(fleet, id, method === 'PUT', ask.now);
  const found = part ? devicePart(fleet, id, part, item) : collectionItem(fleet, collection, id);
  return found === undefined
    ? problem(404, 'not-found', `Cannot find ${path}: there is no such thing`)
    : { status: 200, body: found };
}

function session({ method, body, isSignedIn, now }: Ask): Reply {
  const admin: Session = { name: 'admin', role: 'admin', expiresAt: now + 8 * 3_600_000 };
  if (method === 'DELETE') return { status: 204, session: 'end' };
  if (method === 'GET')
    return isSignedIn ? { status: 200, body: admin } : problem(401, 'unauthenticated', 'Nobody is signed in');
  const { name, password } = body as { name: string; password: string };
  if (name !== 'admin' || password !== PASSWORD) {
    return problem(401, 'wrong-credentials', 'Cannot sign in: the name or the password is wrong');
  }
  return { status: 200, body: admin, session: 'start' };
}

function post(fleet: Fleet, { path, body, now }: Ask): Reply {
  if (path === '/rollouts') {
    const rollout: Rollout | undefined = fleet.start(body as StartRollout, 'admin', now);
    return rollout
      ? { status: 201, body: rollout }
      : problem(404, 'not-found', 'Cannot start the rollout: no such release or device');
  }
  if (path === '/update-windows') {
    const { windows } = body as CheckWindows;
    const bad = windows.find(({ schedule }) => !/^(\S+ ){4}\S+$/.test(schedule));
    return bad
      ? problem(422, 'rollout.window-bad', `Cannot use window 1: "${bad.schedule}" cannot be read`)
      : { status: 200, body: { words: windows.map(scheduleWords) } };
  }
  if (path === '/update-sizes') {
    const sizes = updateSizes(fleet, body as AskUpdateSizes);
    return sizes
      ? { status: 200, body: sizes }
      : problem(404, 'not-found', 'Cannot tell the sizes: no such release');
  }
  const [, collection, id = '', part] = path.split('/').map(decodeURIComponent);
  if (collection === 'devices') return remotePost(fleet, path, now);
  const urgent = part === 'urgent' ? fleet.makeUrgent(id, 'admin') : undefined;
  if (urgent) return { status: 200, body: urgent };
  if (path === '/enrolment-tokens') {
    const { expiresInSeconds } = body as { expiresInSeconds: number };
    const token: EnrolmentToken = {
      joinString: `wherry://fleet.example.org:8883#ca=sha256:${digest('ca')}&t=${digest(String(now)).slice(0, 32)}`,
      expiresAt: now + expiresInSeconds * 1_000,
    };
    return { status: 201, body: token };
  }
  return problem(404, 'not-found', `Cannot find ${path}`);
}

function pin(fleet: Fleet, id: string, isPinned: boolean, now: number): Reply {
  const device = fleet.device(id);
  if (!device) return problem(404, 'not-found', `Cannot find ${id}`);
  device.detail.pinned = isPinned ? { at: now, by: 'admin' } : null;
  return { status: 200, body: device.detail };
}

function collectionItem(fleet: Fleet, collection: string | undefined, id: string): unknown {
  switch (collection) {
    case 'devices':
      return id === '' ? page(fleet.devices.map(summaryOf)) : fleet.device(id)?.detail;
    case 'releases':
      return id === '' ? page<Release>(fleet.releases) : fleet.releases.find((release) => release.id === id);
    case 'rollouts':
      return id === '' ? page<Rollout>(fleet.rollouts) : fleet.rollouts.find((rollout) => rollout.id === id);
    default:
      return undefined;
  }
}

type DevicePart = DeviceEvents | DeviceMetrics | DevicePostMortems | PostMortem;

function devicePart(fleet: Fleet, id: string, part: string, item?: string): DevicePart | undefined {
  const device = fleet.device(id);
  if (part === 'postmortems') {
    return item === undefined
      ? device && { items: device.postMortems.map(shorten) }
      : device?.postMortems.find((postMortem) => postMortem.id === item);
  }
  if (part === 'events') return device && { items: device.events };
  return part === 'metrics' ? device?.metrics : undefined;
}

function page<T>(items: T[]): { items: T[]; next: null } {
  return { items, next: null };
}

export function problem(status: number, code: string, detail: string): Reply {
  const body: Problem = {
    type: 'about:blank',
    title: 'The server refused the request',
    status,
    code,
    detail,
  };
  return { status, body };
}
