export type { DeviceEvent, Report, UpdatePhase, UpdateStatus } from '../../../../protocol/messages.ts';
export type { PostMortem, PostMortemSummary } from '../../../../protocol/post-mortem.ts';
export type { DeviceHealth, ServiceState, ServiceStatus } from '../../../../protocol/status.ts';
export type {
  Attempt,
  DeviceDetail,
  DeviceEvents,
  DeviceMetrics,
  DevicePostMortems,
  DeviceSummary,
  EnrolmentToken,
  Problem,
  Release,
  Rollout,
  ServiceMetrics,
  Session,
  StreamEvent,
} from '../../../rest/api.ts';
