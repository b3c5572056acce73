export type { DeviceEvent, Report, UpdatePhase, UpdateStatus } from '../../../../protocol/messages.ts';
export type { DeviceHealth, ServiceState, ServiceStatus } from '../../../../protocol/status.ts';
export type {
  Attempt,
  DeviceDetail,
  DeviceEvents,
  DeviceMetrics,
  DeviceSummary,
  EnrolmentToken,
  Problem,
  Release,
  Rollout,
  ServiceMetrics,
  Session,
  StreamEvent,
} from '../../../rest/api.ts';
