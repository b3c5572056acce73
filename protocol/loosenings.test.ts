import { expect, test } from 'vitest';
import { type IsolatedService, looseningsOf, needsHostIds } from './loosenings.ts';

const tight: IsolatedService = {
  uid: 1000,
  network: 'segments',
  security: { readOnlyRoot: true, capabilities: [] },
};

test('a service that asks for nothing loosens nothing', () => {
  expect(looseningsOf(tight)).toEqual([]);
});

test('each loosening is named', () => {
  const loose: IsolatedService = {
    uid: 0,
    network: 'host',
    ports: [{ host: 80, container: 8080, protocol: 'tcp' }],
    devices: [
      { kind: 'node', path: '/dev/video0', target: '/dev/video0', access: 'r' },
      { kind: 'cdi', name: 'vendor.com/gpu=0' },
    ],
    security: {
      readOnlyRoot: false,
      capabilities: ['NET_RAW', 'CAP_NET_ADMIN'],
      userNamespace: 'host',
      seccomp: 'unconfined',
      syscalls: ['keyctl', 'bpf'],
      newPrivileges: true,
    },
  };
  expect(looseningsOf(loose)).toEqual([
    'holds the capability CAP_NET_ADMIN',
    'holds the capability CAP_NET_RAW',
    "has the host's user ids (userNamespace: host)",
    'runs as root inside its container (allowRoot)',
    'may write into its root filesystem (readOnlyRoot: false)',
    'may use every system call (seccomp: unconfined)',
    'may use system calls beyond the default: bpf, keyctl',
    'may gain rights at exec (newPrivileges)',
    'shares the network of the host (network: host)',
    'is reached from outside at *:80/tcp, its port 8080',
    'may read the device /dev/video0',
    'has what the CDI device vendor.com/gpu=0 brings',
  ]);
});

test('a right that a user namespace would make void brings the ids of the host, and that is told', () => {
  const security = { readOnlyRoot: true, capabilities: ['CAP_NET_BIND_SERVICE', 'CAP_CHOWN'] };
  expect(looseningsOf({ ...tight, security })).toContain(
    "has the host's user ids, because the kernel honours CAP_NET_BIND_SERVICE only there",
  );
  expect(needsHostIds({ network: 'none', security })).toEqual([]);
});
