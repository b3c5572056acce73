import { expect, test } from 'vitest';
import { upTopic } from '../../../protocol/topics.ts';
import { maySubscribe, type Peer, peerOf, publishFault } from './access.ts';

const control: Peer = { tenant: 'default', device: 'cam-1', session: 'control' };
const bulk: Peer = { ...control, session: 'bulk' };
const publish = (peer: Peer, topic: string, rest: { qos?: number; retain?: boolean } = {}) =>
  publishFault(peer, { topic, qos: 0, retain: false, ...rest });

test('the client id is the certificate’s name or its bulk twin', () => {
  expect(peerOf('cam-1', 'cam-1', 'default')).toEqual(control);
  expect(peerOf('cam-1_bulk', 'cam-1', 'default')).toEqual(bulk);
  expect(peerOf('cam-2', 'cam-1', 'default')).toBeUndefined();
  expect(peerOf('cam-2_bulk', 'cam-1', 'default')).toBeUndefined();
  expect(peerOf('', '', 'default')).toBeUndefined();
});

test('a device publishes on its own channels only, each in its session', () => {
  expect(publish(control, upTopic('default', 'cam-1', 'report'), { qos: 1 })).toBeUndefined();
  expect(publish(control, upTopic('default', 'cam-1', 'postmortem'), { qos: 1 })).toBeUndefined();
  expect(publish(control, upTopic('default', 'cam-2', 'postmortem'))).toContain('not its own');
  expect(publish(bulk, upTopic('default', 'cam-1', 'postmortem'))).toContain('bulk session');
  expect(publish(bulk, upTopic('default', 'cam-1', 'get'))).toBeUndefined();
  expect(publish(control, upTopic('default', 'cam-1', 'abilities'), { qos: 1 })).toBeUndefined();
  expect(publish(bulk, upTopic('default', 'cam-1', 'answer'))).toBeUndefined();
  expect(publish(bulk, upTopic('default', 'cam-2', 'answer'))).toContain('not its own');
  expect(publish(control, upTopic('default', 'cam-1', 'answer'))).toContain('control session');
  expect(publish(bulk, upTopic('default', 'cam-1', 'abilities'))).toContain('bulk session');
  expect(publish(control, upTopic('default', 'cam-1', 'get'))).toContain('control session');
  expect(publish(bulk, upTopic('default', 'cam-1', 'report'))).toContain('bulk session');
  expect(publish(control, upTopic('default', 'cam-2', 'report'))).toContain('not its own');
  expect(publish(control, upTopic('other', 'cam-1', 'report'))).toContain('not its own');
  expect(publish(control, '$SYS/x')).toContain('not its own');
  expect(publish(control, 'dn/default/cam-1/desired')).toContain('not its own');
});

test('a doctor’s session probes and does nothing else', () => {
  const doctor: Peer = { ...control, session: 'doctor' };
  expect(peerOf('cam-1_doctor', 'cam-1', 'default')).toEqual(doctor);
  expect(peerOf('cam-2_doctor', 'cam-1', 'default')).toBeUndefined();
  expect(peerOf('cam-1_doctor_bulk', 'cam-1', 'default')).toBeUndefined();
  expect(publish(doctor, upTopic('default', 'cam-1', 'probe'), { qos: 1 })).toBeUndefined();
  expect(publish(doctor, upTopic('default', 'cam-2', 'probe'))).toContain('not its own');
  for (const channel of ['hello', 'report', 'event', 'postmortem', 'time', 'get'] as const)
    expect(publish(doctor, upTopic('default', 'cam-1', channel))).toContain('doctor session');
  expect(publish(control, upTopic('default', 'cam-1', 'probe'))).toContain('control session');
  expect(maySubscribe(doctor, 'dn/default/cam-1/+')).toBe(true);
  expect(maySubscribe(doctor, 'dn/default/cam-2/+')).toBe(false);
});

test('retained messages and QoS 2 are refused', () => {
  expect(publish(control, upTopic('default', 'cam-1', 'report'), { retain: true })).toContain('retained');
  expect(publish(control, upTopic('default', 'cam-1', 'report'), { qos: 2 })).toContain('QoS 2');
});

test('a device subscribes to its own channels only', () => {
  expect(maySubscribe(control, 'dn/default/cam-1/+')).toBe(true);
  expect(maySubscribe(control, 'dn/default/cam-1/desired')).toBe(true);
  const others = ['#', '+/#', 'dn/#', 'dn/default/+/desired', 'dn/default/cam-2/+', '$SYS/#', 'up/#'];
  expect(others.filter((filter) => maySubscribe(control, filter))).toEqual([]);
});
