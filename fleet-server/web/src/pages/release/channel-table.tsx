import type { Release } from '../../api/types.ts';
import { ringText } from '../../derive/channel.ts';
import { bytes, count } from '../../format/quantity.ts';
import { CHANNEL_MODE_WORDS } from '../../format/words.ts';
import { Panel } from '../../ui/panel.tsx';

type Channel = NonNullable<Release['channels']>[number];

/** Shared memory between the services, as the release declares it. */
export function ChannelTable({ channels }: { channels: Channel[] }) {
  const total = channels.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  return (
    <Panel
      title="Channels"
      aside={<span className="soft">{`${count(channels.length, 'channel')}, ${bytes(total)} in all`}</span>}
      isFlush
    >
      <table className="table cards" role="table">
        <caption className="visually-hidden">Channels with who publishes and who subscribes</caption>
        <thead role="rowgroup">
          <tr role="row">
            {['Channel', 'Publishers', 'Subscribers'].map((title) => (
              <th role="columnheader" scope="col" key={title}>
                {title}
              </th>
            ))}
            {['Messages', 'Memory'].map((title) => (
              <th role="columnheader" scope="col" className="right" key={title}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {channels.map((channel) => (
            <ChannelRow key={channel.name} channel={channel} />
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function ChannelRow({ channel }: { channel: Channel }) {
  const { name, mode, publishers, subscribers, memoryBytes } = channel;
  return (
    <tr role="row">
      <th role="rowheader" scope="row" className="cell-main">
        {name}
        <span className="service-reason small soft">
          {mode}: {CHANNEL_MODE_WORDS[mode]}
        </span>
      </th>
      <td role="cell" data-label="Publishers">
        {publishers.join(', ')}
      </td>
      <td role="cell" data-label="Subscribers">
        {subscribers.join(', ')}
      </td>
      <td role="cell" data-label="Messages" className="right nowrap">
        {ringText(channel)}
      </td>
      <td role="cell" data-label="Memory" className="right nowrap">
        {bytes(memoryBytes)}
      </td>
    </tr>
  );
}
