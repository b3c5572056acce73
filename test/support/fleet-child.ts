// A fleet server as a process of its own: `node fleet-child.ts <config as JSON>`. Its parent hears the ports, may ask
// what it costs, and takes it along when it ends.
import type { FleetServerConfig } from '../../fleet-server/config.ts';
import { startFleetServer } from '../../fleet-server/main.ts';

export interface ServerCost {
  rssBytes: number;
  /** Most that it ever held. */
  peakBytes: number;
  cpuSeconds: number;
  sentBytes: number;
}

const server = await startFleetServer(JSON.parse(process.argv[2] ?? '') as FleetServerConfig);
process.on('disconnect', () => process.exit());
process.on('message', (message) => {
  if (message === 'close') void server.close().then(() => process.exit());
  const { user, system } = process.cpuUsage();
  const cost: ServerCost = {
    rssBytes: process.memoryUsage.rss(),
    peakBytes: process.resourceUsage().maxRSS * 1024,
    cpuSeconds: (user + system) / 1e6,
    sentBytes: server.sentBytes(),
  };
  if (message === 'cost') process.send?.(cost);
});
process.send?.({ url: server.url, ports: server.ports });
