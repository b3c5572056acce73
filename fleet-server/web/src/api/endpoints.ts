import { request } from './request.ts';
import type {
  AskedPolicy,
  DeviceDetail,
  DeviceEvents,
  DeviceMetrics,
  DevicePostMortems,
  DeviceSummary,
  EnrolmentToken,
  PostMortem,
  Release,
  Rollout,
  Session,
  StartRollout,
  UpdateSizes,
  WhyAnswer,
  WindowsInWords,
} from './types.ts';

const PAGE_SIZE = 200;
/** Past this many pages a list is cut and says so: a browser table is no place for more. */
const MAX_PAGES = 10;

export interface Listing<T> {
  items: T[];
  isComplete: boolean;
}

async function everyPage<T>(path: string): Promise<Listing<T>> {
  const items: T[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < MAX_PAGES; page++) {
    const query: string = `limit=${PAGE_SIZE}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const answer: { items: T[]; next: string | null } = await request('GET', `${path}?${query}`);
    items.push(...answer.items);
    cursor = answer.next;
    if (cursor === null) return { items, isComplete: true };
  }
  return { items, isComplete: false };
}

const part = encodeURIComponent;

export const api = {
  session: () => request<Session>('GET', '/session'),
  signIn: (name: string, password: string) => request<Session>('POST', '/session', { name, password }),
  signOut: () => request<void>('DELETE', '/session'),

  devices: () => everyPage<DeviceSummary>('/devices'),
  device: (id: string) => request<DeviceDetail>('GET', `/devices/${part(id)}`),
  deviceEvents: (id: string) => request<DeviceEvents>('GET', `/devices/${part(id)}/events`),
  deviceMetrics: (id: string) => request<DeviceMetrics>('GET', `/devices/${part(id)}/metrics`),
  devicePostMortems: (id: string) => request<DevicePostMortems>('GET', `/devices/${part(id)}/postmortems`),
  devicePostMortem: (id: string, postMortem: string) =>
    request<PostMortem>('GET', `/devices/${part(id)}/postmortems/${part(postMortem)}`),

  releases: () => everyPage<Release>('/releases'),
  release: (id: string) => request<Release>('GET', `/releases/${part(id)}`),

  rollouts: () => everyPage<Rollout>('/rollouts'),
  rollout: (id: string) => request<Rollout>('GET', `/rollouts/${part(id)}`),
  startRollout: (wanted: StartRollout) => request<Rollout>('POST', '/rollouts', wanted),
  updateSizes: (releaseId: string, devices: string[]) =>
    request<UpdateSizes>('POST', '/update-sizes', { releaseId, devices }),
  makeUrgent: (rollout: string) => request<Rollout>('POST', `/rollouts/${part(rollout)}/urgent`),
  windowsInWords: (windows: NonNullable<AskedPolicy['windows']>) =>
    request<WindowsInWords>('POST', '/update-windows', { windows }),
  pin: (device: string) => request<DeviceDetail>('PUT', `/devices/${part(device)}/pin`),
  unpin: (device: string) => request<DeviceDetail>('DELETE', `/devices/${part(device)}/pin`),

  why: (device: string, service: string) =>
    request<WhyAnswer>('GET', `/devices/${part(device)}/services/${part(service)}/why`),
  restart: (device: string, service: string) =>
    request<void>('POST', `/devices/${part(device)}/services/${part(service)}/restart`),
  reboot: (device: string) => request<void>('POST', `/devices/${part(device)}/reboot`, { confirm: device }),
  typeIn: (
    device: string,
    session: string,
    typed: { input?: string; resize?: { columns: number; rows: number } },
  ) => request<void>('POST', `/devices/${part(device)}/exec/${part(session)}/input`, typed),

  createEnrolmentToken: (uses: number, expiresInSeconds: number) =>
    request<EnrolmentToken>('POST', '/enrolment-tokens', { uses, expiresInSeconds }),
};

/** Paths of what comes as a stream: api/remote-stream.ts. */
export const remotePaths = {
  logs: (device: string, service: string, follow: boolean) =>
    `/devices/${part(device)}/services/${part(service)}/logs?tail=500&follow=${follow}`,
  exec: (device: string, service: string) => `/devices/${part(device)}/services/${part(service)}/exec`,
  bundle: (device: string) => `/devices/${part(device)}/support-bundle`,
};

export const STREAM_URL = '/api/v1/stream';
