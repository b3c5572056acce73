const PUBLISH_QOS_0 = 0x30;

/** What stands before the payload of a PUBLISH with QoS 0, not retained. [MQTT 3.1.1 §3.3] */
export function publishHead(topic: string, payloadBytes: number): Buffer {
  const topicBytes = Buffer.byteLength(topic);
  const length: number[] = [];
  for (let rest = 2 + topicBytes + payloadBytes; rest > 0; rest = Math.floor(rest / 128))
    length.push((rest % 128) + (rest >= 128 ? 128 : 0));
  const head = Buffer.allocUnsafe(1 + length.length + 2 + topicBytes);
  head.writeUInt8(PUBLISH_QOS_0, 0);
  head.set(length, 1);
  head.writeUInt16BE(topicBytes, 1 + length.length);
  head.write(topic, 3 + length.length);
  return head;
}
