import type { MqttClient } from 'mqtt';
import type { Abilities, Answer, Ask, More } from '../../protocol/remote.ts';
import { REMOTE_ACTIONS } from '../../protocol/remote-actions.ts';
import { upTopic } from '../../protocol/topics.ts';
import type { TestDevice, TestFleet } from './fleet-server.ts';
import { until } from './until.ts';

/** A device that is asked and answers by hand. */
export class RemoteDevice {
  readonly device: TestDevice;
  readonly control: MqttClient;
  readonly bulk: MqttClient;
  readonly session = 'ab'.repeat(16);

  private constructor(device: TestDevice, control: MqttClient, bulk: MqttClient) {
    this.device = device;
    this.control = control;
    this.bulk = bulk;
  }

  static async connect(
    fleet: TestFleet,
    name: string,
    abilities: Partial<Abilities> = {},
  ): Promise<RemoteDevice> {
    const device = await fleet.device(name);
    const control = await device.connect('control');
    await device.hello(control);
    const remote = new RemoteDevice(device, control, await device.connect('bulk'));
    await remote.abilities(abilities);
    await until(async () => (await fleet.api('GET', `/devices/${name}`)).body.remote !== null, {
      what: 'the abilities to be heard',
    });
    return remote;
  }

  async abilities(abilities: Partial<Abilities> = {}): Promise<void> {
    const { session, device } = this;
    const body: Abilities = { v: 1, session, at: Date.now(), actions: [...REMOTE_ACTIONS], ...abilities };
    await this.control.publishAsync(upTopic('default', device.id, 'abilities'), JSON.stringify(body), {
      qos: 1,
    });
  }

  async asked(): Promise<Ask> {
    return JSON.parse((await this.device.next('ask')).toString());
  }

  async more(): Promise<More> {
    return JSON.parse((await this.device.next('more')).toString());
  }

  async answer(body: Omit<Answer, 'v'> | string): Promise<void> {
    const text = typeof body === 'string' ? body : JSON.stringify({ v: 1, ...body });
    await this.bulk.publishAsync(upTopic('default', this.device.id, 'answer'), text);
  }
}
