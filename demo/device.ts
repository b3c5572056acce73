import type { DeviceDetail } from '../fleet-server/rest/api.ts';
import type { Part } from './processes.ts';
import type { ServerClient } from './server-client.ts';

/** The demo's one device: an agent on this machine, or an emulated board. */
export interface DemoDevice {
  /** The id that it wishes for. */
  name: string;
  /** Under which name it finds the server. */
  serverHost: string;
  /** An emulated processor takes its time. */
  upTimeoutMs: number;
  /** What the device is made of and told, before it starts. The server runs. */
  prepare(client: ServerClient): Promise<void>;
  start(): Part;
  /** The device in a table or two, once its release runs. */
  show(device: DeviceDetail): Promise<void>;
  /** What to try on it. */
  next: string[];
  /** What is left of it on this machine; empty after a clean stop. */
  leftovers(): string[];
}
