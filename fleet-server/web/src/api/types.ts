export type {
  DeviceEvent,
  DeviceHealth,
  Report,
  ServiceState,
  ServiceStatus,
  UpdatePhase,
  UpdateStatus,
} from '../../../../protocol/messages.ts';
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
