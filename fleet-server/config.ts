/** Where the fleet server keeps its data and what it listens on. Port 0 takes any free port. */
export interface FleetServerConfig {
  dataDir: string;
  /** Address to listen on. */
  host: string;
  /** UI and REST, plain HTTP. */
  port: number;
  /** Enrolment and objects, HTTPS. */
  devicePort: number;
  /** MQTT over mutual TLS. */
  mqttPort: number;
  /** Name or address under which devices reach this server. */
  publicHost: string;
  /** What may leave to devices as chunks and objects, all together; absent = no limit. */
  egressBytesPerSecond?: number;
  /** What may leave to each device; absent = no limit. */
  egressDeviceBytesPerSecond?: number;
  /** What deltas may take of the disk; absent = 8 GiB. */
  deltaCacheBytes?: number;
  /** Folder of the built UI; without it only REST is served. */
  webDir?: string;
  /** Folder of `<board>/board.yaml`. */
  boardsDir: string;
  admin: { name: string; password: string };
  logLevel?: 'debug' | 'info' | 'warn' | 'silent';
}

export interface FleetServer {
  /** Base URL of UI and REST. */
  url: string;
  ports: { rest: number; device: number; mqtt: number };
  /** Bytes of chunks and objects that were let out since the start. */
  sentBytes(): number;
  close(): Promise<void>;
}

/** One fleet, one tenant; the wire names it already. */
export const TENANT = 'default';

/** Closed in the reverse of the order they were opened in, also when a later one cannot open. */
export type Closers = (() => Promise<void> | void)[];
