import type { Check } from '../check.ts';
import { skipped } from '../core/finding.ts';
import { cgroups, clock, kernel, memory, power, temperature } from './machine.ts';
import { broker, certificate, dns, route, server } from './network.ts';
import { agent, configuration, images, ledger, programs } from './software.ts';
import { disk, filesystems, storage } from './storage.ts';

/** In the order in which a person would look: each rests on those above it. */
const CHECKS: Check[] = [
  agent,
  configuration,
  clock,
  power,
  temperature,
  memory,
  disk,
  storage,
  filesystems,
  kernel,
  cgroups,
  programs,
  ledger,
  images,
  route,
  dns,
  server,
  certificate,
  broker,
];

/** `isQuick` leaves out what reads all that is on the disk. */
export const checks = (isQuick: boolean): Check[] =>
  isQuick
    ? CHECKS.map((check) =>
        check === images ? { ...images, run: () => skipped('Not read: --quick was given') } : check,
      )
    : CHECKS;
