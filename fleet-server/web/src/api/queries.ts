import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { api } from './endpoints.ts';
import { isUnauthorized } from './problem.ts';
import type { AskedPolicy } from './types.ts';

export const keys = {
  session: ['session'] as const,
  devices: ['devices'] as const,
  device: (id: string) => ['device', id] as const,
  deviceEvents: (id: string) => ['device-events', id] as const,
  deviceMetrics: (id: string) => ['device-metrics', id] as const,
  devicePostMortems: (id: string) => ['device-post-mortems', id] as const,
  devicePostMortem: (id: string, postMortem: string) => ['device-post-mortem', id, postMortem] as const,
  releases: ['releases'] as const,
  release: (id: string) => ['release', id] as const,
  rollouts: ['rollouts'] as const,
  rollout: (id: string) => ['rollout', id] as const,
  updateSizes: (release: string, devices: string[]) => ['update-sizes', release, devices] as const,
  windows: (windows: unknown) => ['windows', windows] as const,
};

/** Null = nobody is signed in. */
export function useSession() {
  return useQuery({
    queryKey: keys.session,
    queryFn: async () => {
      try {
        return await api.session();
      } catch (error) {
        if (isUnauthorized(error)) return null;
        throw error;
      }
    },
  });
}

export const useDevices = () => useQuery({ queryKey: keys.devices, queryFn: api.devices });
export const useReleases = () => useQuery({ queryKey: keys.releases, queryFn: api.releases });
export const useRollouts = () => useQuery({ queryKey: keys.rollouts, queryFn: api.rollouts });

export const useDevice = (id: string) =>
  useQuery({ queryKey: keys.device(id), queryFn: () => api.device(id) });
export const useDeviceEvents = (id: string) =>
  useQuery({ queryKey: keys.deviceEvents(id), queryFn: () => api.deviceEvents(id) });
export const useDeviceMetrics = (id: string) =>
  useQuery({ queryKey: keys.deviceMetrics(id), queryFn: () => api.deviceMetrics(id) });
export const useDevicePostMortems = (id: string) =>
  useQuery({ queryKey: keys.devicePostMortems(id), queryFn: () => api.devicePostMortems(id) });
export const useDevicePostMortem = (id: string, postMortem: string) =>
  useQuery({
    queryKey: keys.devicePostMortem(id, postMortem),
    queryFn: () => api.devicePostMortem(id, postMortem),
  });
export const useRelease = (id: string) =>
  useQuery({ queryKey: keys.release(id), queryFn: () => api.release(id) });
export const useRollout = (id: string) =>
  useQuery({ queryKey: keys.rollout(id), queryFn: () => api.rollout(id) });

/** Windows in words, or what is wrong with them; what was said of the ones before stays until the answer is there. */
export const useWindowsInWords = (windows: NonNullable<AskedPolicy['windows']>) =>
  useQuery({
    queryKey: keys.windows(windows),
    queryFn: () => api.windowsInWords(windows),
    enabled: windows.length > 0,
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });

const SIZES_AGAIN_MS = 2_000;

/** What the update would send. Asked again until every delta has been made. */
export const useUpdateSizes = (release: string, devices: string[]) =>
  useQuery({
    queryKey: keys.updateSizes(release, devices),
    queryFn: () => api.updateSizes(release, devices),
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) =>
      state.data?.items.some(({ isFinal }) => !isFinal) ? SIZES_AGAIN_MS : false,
  });
