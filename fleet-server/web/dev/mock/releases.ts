import type { Release } from '../../../rest/api.ts';
import { declared } from './channels.ts';
import { digest, uuid } from './ids.ts';

const MIB = 1024 ** 2;
const HOUR = 3_600_000;

const river: Release['services'] = [
  { name: 'sensor', memoryMaxBytes: 32 * MIB, cpuMax: 0.25, pidsMax: 16, network: 'none', layers: 2 },
  {
    name: 'analyser',
    memoryMaxBytes: 128 * MIB,
    cpuMax: 0.5,
    pidsMax: 32,
    network: 'segments',
    networks: ['inner'],
    layers: 3,
  },
  {
    name: 'web',
    memoryMaxBytes: 64 * MIB,
    cpuMax: 0.5,
    pidsMax: 24,
    network: 'segments',
    networks: ['inner', 'outer'],
    ports: ['*:80/tcp to 8080'],
    loosenings: ['is reached from outside at *:80/tcp, its port 8080', 'may read the device /dev/video0'],
    layers: 2,
  },
];

const riverChannels = declared({
  frames: {
    mode: 'lossy',
    slotSizeBytes: MIB,
    depth: 8,
    publishers: ['sensor'],
    subscribers: ['analyser', 'web'],
  },
  readings: {
    mode: 'reliable',
    slotSizeBytes: 2048,
    depth: 64,
    publishers: ['sensor'],
    subscribers: ['analyser'],
  },
});

function release(name: string, version: string, rest: Partial<Release> & { uploadedAt: number }): Release {
  return {
    id: uuid(`${name} ${version}`),
    name,
    version,
    description: 'Gauges the river, works out the trend and serves it on the local network',
    manifestSha256: digest(`manifest ${name} ${version}`),
    boards: ['raspberry-pi-4', 'raspberry-pi-3'],
    sizeBytes: { 'linux/arm64': 93 * MIB },
    services: river,
    ...(rest.services === undefined && { channels: riverChannels }),
    signedBy: [digest('targets key 1'), digest('targets key 2')],
    targetsVersion: 7,
    uploadedBy: 'admin',
    deviceCount: 0,
    ...rest,
  };
}

export function someReleases(now: number): Release[] {
  return [
    release('river-gauge', '1.2.0', {
      uploadedAt: now - 0.4 * HOUR,
      targetsVersion: 9,
      agentVersion: '0.2.0',
      system: {
        version: '13.2-4',
        sizeBytes: { 'raspberry-pi-3': 131 * MIB, 'raspberry-pi-4': 134 * MIB },
      },
    }),
    release('river-gauge', '1.1.0', { uploadedAt: now - 26 * HOUR, targetsVersion: 8 }),
    release('river-gauge', '1.0.0', { uploadedAt: now - 190 * HOUR }),
    release('lock-gate', '0.3.1', {
      uploadedAt: now - 70 * HOUR,
      description: 'Opens and closes the lock',
      boards: ['generic-amd64'],
      sizeBytes: { 'linux/amd64': 41 * MIB },
      services: [
        { name: 'gate', memoryMaxBytes: 96 * MIB, cpuMax: 1, pidsMax: 20, network: 'none', layers: 3 },
      ],
    }),
  ];
}
