export type {
  ChannelPublisher,
  ChannelStatus,
  ChannelSubscriber,
} from '../../../../protocol/channel-status.ts';
export type { DeviceEvent, Report, UpdatePhase, UpdateStatus } from '../../../../protocol/messages.ts';
export type { PostMortem, PostMortemSummary } from '../../../../protocol/post-mortem.ts';
export type { RemoteAction } from '../../../../protocol/remote-actions.ts';
export type { DeviceHealth, ServiceState, ServiceStatus } from '../../../../protocol/status.ts';
export type { UpdatePolicy } from '../../../../protocol/update-policy.ts';
export type {
  AskedPolicy,
  Attempt,
  DeviceDetail,
  DeviceEvents,
  DeviceMetrics,
  DevicePostMortems,
  DeviceSummary,
  EnrolmentToken,
  Problem,
  Release,
  RemoteEvent,
  Rollout,
  ServiceMetrics,
  Session,
  StartRollout,
  StreamEvent,
  UpdateSizes,
  WhyAnswer,
  WindowsInWords,
} from '../../../rest/api.ts';
