import { expect, test } from 'vitest';
import { checkReleaseSource } from './release-source.ts';

const service = { image: 'oci:web', resources: { memory: { max: '64MiB' }, cpu: { max: 0.5 }, pids: 16 } };
const source = { name: 'demo', version: '1.0.0', boards: ['qemu-virt'], services: { web: service } };
const faultsOf = (document: unknown) => {
  const checked = checkReleaseSource(document);
  return checked.ok ? [] : checked.faults;
};

test('a small release.yaml passes', () => {
  expect(faultsOf(source)).toEqual([]);
});

test.each([
  [{ ...source, servces: {} }, 'servces is not a known field; did you mean "services"?'],
  [
    { ...source, services: { web: { ...service, comand: [] } } },
    'services.web.comand is not a known field; did you mean "command"?',
  ],
  [
    { ...source, services: { web: { ...service, privileged: true } } },
    'services.web.privileged is not a known field; known:',
  ],
  [{ ...source, services: { web: { image: 'oci:web' } } }, 'services.web.resources is missing'],
  [
    { ...source, services: { web: { ...service, network: 'bridge' } } },
    'services.web.network is "bridge"; wanted one of none, host',
  ],
  [
    {
      ...source,
      services: { web: { ...service, resources: { ...service.resources, memory: { max: '64MB' } } } },
    },
    'services.web.resources.memory.max is "64MB"; wanted a size such as 64MiB',
  ],
  [{ ...source, services: { Web: service } }, 'services.Web is not a usable name'],
])('a wrong document names the place and the remedy: %#', (document, fault) => {
  expect(faultsOf(document).join('\n')).toContain(fault);
});
