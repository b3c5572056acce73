import type { Static } from 'typebox';
import type {
  ApiToken,
  DeviceDetail,
  DeviceSummary,
  EnrolmentToken,
  Release,
  Repository,
  Rollout,
} from '../fleet-server/rest/api.ts';

/** The few REST calls the demo makes, as an administrator would. */
export class ServerClient {
  readonly url: string;
  #cookie = '';

  constructor(url: string) {
    this.url = url;
  }

  async isUp(): Promise<true | undefined> {
    return (await fetch(`${this.url}/healthz`)).ok || undefined;
  }

  async signIn(name: string, password: string): Promise<void> {
    const response = await this.#send('POST', '/session', { name, password });
    this.#cookie = response.headers
      .getSetCookie()
      .map((cookie) => cookie.split(';')[0])
      .join('; ');
  }

  repository = () => this.#json<Repository>('GET', '/repository');
  releases = async () => (await this.#json<{ items: Release[] }>('GET', '/releases')).items;
  devices = async () => (await this.#json<{ items: DeviceSummary[] }>('GET', '/devices')).items;
  device = (id: string) => this.#json<DeviceDetail>('GET', `/devices/${id}`);
  rollout = (id: string) => this.#json<Rollout>('GET', `/rollouts/${id}`);
  startRollout = (releaseId: string, devices: string[]) =>
    this.#json<Rollout>('POST', '/rollouts', { releaseId, devices });
  apiToken = async (note: string) =>
    (await this.#json<Static<typeof ApiToken>>('POST', '/api-tokens', { note })).token;
  joinString = async () =>
    (
      await this.#json<EnrolmentToken>('POST', '/enrolment-tokens', {
        uses: 1,
        expiresInSeconds: 3600,
        note: 'demo',
      })
    ).joinString;

  async #json<T>(method: string, path: string, body?: object): Promise<T> {
    return (await (await this.#send(method, path, body)).json()) as T;
  }

  async #send(method: string, path: string, body?: object): Promise<Response> {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        cookie: this.#cookie,
        origin: this.url,
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (response.ok) return response;
    throw new Error(
      `Cannot ${method} ${path}: the server answered ${response.status} ${await response.text()}`,
    );
  }
}
