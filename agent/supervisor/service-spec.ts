import type { ChannelDefinition } from '../../protocol/channels.ts';
import type { ManifestService } from '../../protocol/manifest.ts';

/** One service as the supervisor runs it: platform chosen, nothing left to decide. */
export interface ServiceSpec {
  name: string;
  /** sha256 over everything else here. A service restarts only when this changes. */
  digest: string;
  /** fs-verity digests of the EROFS blobs, lowest layer first. */
  layers: string[];
  args: string[];
  environment: Record<string, string>;
  workingDir: string;
  uid: number;
  gid: number;
  resources: ManifestService['resources'];
  restart: ManifestService['restart'];
  stop: ManifestService['stop'];
  network: ManifestService['network'];
  security: ManifestService['security'];
  mounts: {
    volume: string;
    path: string;
    readOnly: boolean;
    gid: number;
    sizeBytes: number;
    backing?: 'disk' | undefined;
  }[];
  // What follows is absent where the release does not ask for it, so that the digest of an older release stands.
  kind?: ManifestService['kind'];
  runtime?: ManifestService['runtime'];
  init?: ManifestService['init'];
  criticality?: ManifestService['criticality'];
  dependsOn?: ManifestService['dependsOn'];
  health?: ManifestService['health'];
  /** The segments it is on. */
  segments?: { name: string; aliases: string[]; isInternal: boolean }[] | undefined;
  ports?: ManifestService['ports'];
  devices?: ManifestService['devices'];
  secrets?: ManifestService['secrets'];
  update?: ManifestService['update'];
  /** Channels that it is on. They are part of its digest: it restarts when one of them changes. */
  channels?: ServiceChannel[] | undefined;
}

/** One that differs in anything has another id. */
export interface ServiceChannel extends ChannelDefinition {
  name: string;
  /** `<name>.<start of the definition's sha256>`: the name of its folder and cgroup. */
  id: string;
}

/** What the supervisor holds the device to. `services` empty = run nothing. */
export interface DesiredServices {
  /** Label for logs and status: "demo 1.0.0"; undefined before the first release. */
  release: { name: string; version: string; generation: number } | undefined;
  services: ServiceSpec[];
}
