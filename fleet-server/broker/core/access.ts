import {
  bulkClientId,
  DOWN_CHANNELS,
  deviceOfClientId,
  doctorClientId,
  downTopic,
  parseUpTopic,
} from '../../../protocol/topics.ts';

/** What one authenticated client may do. Pure: certificates and blocks are checked before. */
export interface Peer {
  tenant: string;
  device: string;
  session: 'control' | 'bulk' | 'doctor';
}

const UP_OF = {
  control: ['hello', 'report', 'event', 'postmortem', 'time', 'abilities'],
  bulk: ['get', 'answer'],
  doctor: ['probe'],
} as const;

/** The peer a client id and its certificate's CN make together; undefined when they do not agree. */
export function peerOf(clientId: string, commonName: string, tenant: string): Peer | undefined {
  const device = deviceOfClientId(clientId);
  if (device === undefined || device !== commonName) return undefined;
  const twins = { [bulkClientId(device)]: 'bulk', [doctorClientId(device)]: 'doctor' } as const;
  return { tenant, device, session: twins[clientId] ?? 'control' };
}

/** Why the peer may not publish this, or undefined when it may. */
export function publishFault(
  peer: Peer,
  packet: { topic: string; qos: number; retain: boolean },
): string | undefined {
  const topic = parseUpTopic(packet.topic);
  if (!topic || topic.device !== peer.device || topic.tenant !== peer.tenant)
    return 'the topic is not its own';
  if (!UP_OF[peer.session].some((channel) => channel === topic.channel))
    return `"${topic.channel}" does not belong to its ${peer.session} session`;
  if (packet.retain) return 'retained messages are not in the profile';
  if (packet.qos > 1) return 'QoS 2 is not in the profile';
  return undefined;
}

/** True for `dn/<tenant>/<device>/+` and the peer's single channels. */
export function maySubscribe(peer: Peer, filter: string): boolean {
  return (
    filter === `dn/${peer.tenant}/${peer.device}/+` ||
    DOWN_CHANNELS.some((channel) => filter === downTopic(peer.tenant, peer.device, channel))
  );
}
