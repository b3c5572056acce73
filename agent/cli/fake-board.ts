/** The board of a test's agent.json. */
export const fakeBoard = {
  name: 'generic-amd64',
  title: 'Generic',
  platform: 'linux/amd64',
  memory: '1GiB',
  cpus: 2,
  reserve: { system: '64MiB', agent: '64MiB' },
};
