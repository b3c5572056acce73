import type { QueryClient } from '@tanstack/react-query';
import type { Listing } from '../api/endpoints.ts';
import { keys } from '../api/queries.ts';
import type {
  DeviceDetail,
  DeviceMetrics,
  DeviceSummary,
  Release,
  Report,
  Rollout,
  StreamEvent,
} from '../api/types.ts';
import { appendReport, hasNews, upsert } from './patch.ts';

/** Patches what the cache holds already; what no page has asked for is not kept. */
export function applyEvent(client: QueryClient, event: StreamEvent): void {
  switch (event.kind) {
    case 'device':
      applyDevice(client, event.data);
      return;
    case 'device-report':
      applyReport(client, event.data.id, event.data.report);
      return;
    case 'post-mortem':
      void client.invalidateQueries({ queryKey: keys.devicePostMortems(event.data.device) });
      return;
    case 'rollout':
      patchList<Rollout>(client, keys.rollouts, event.data);
      client.setQueryData<Rollout>(keys.rollout(event.data.id), event.data);
      return;
    case 'release':
      patchList<Release>(client, keys.releases, event.data);
      client.setQueryData<Release>(keys.release(event.data.id), event.data);
  }
}

function applyDevice(client: QueryClient, device: DeviceSummary): void {
  patchList(client, keys.devices, device);
  client.setQueryData<DeviceDetail>(keys.device(device.id), (old) => old && { ...old, ...device });
}

function applyReport(client: QueryClient, id: string, report: Report): void {
  const before = client.getQueryData<DeviceDetail>(keys.device(id));
  if (before && hasNews(before.report, report)) {
    void client.invalidateQueries({ queryKey: keys.deviceEvents(id) });
  }
  client.setQueryData<DeviceDetail>(keys.device(id), (old) => old && { ...old, report });
  client.setQueryData<DeviceMetrics>(keys.deviceMetrics(id), (old) => old && appendReport(old, report));
}

function patchList<T extends { id: string }>(client: QueryClient, key: readonly string[], item: T): void {
  client.setQueryData<Listing<T>>(key, (old) => old && { ...old, items: upsert(old.items, item) });
}
