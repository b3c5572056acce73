import type { ChannelPublisher, ChannelStatus, ChannelSubscriber } from '../../api/types.ts';
import { channelWord, publisherWord, ringText, subscriberWord } from '../../derive/channel.ts';
import { bytes, count, tally } from '../../format/quantity.ts';
import { CHANNEL_MODE_WORDS } from '../../format/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { Count } from '../../ui/count.tsx';
import { Meter } from '../../ui/meter.tsx';
import { Panel } from '../../ui/panel.tsx';

/** Shared memory between the services, of a release that declares some. */
export function ChannelsPanel({ channels = [] }: { channels: ChannelStatus[] | undefined }) {
  if (channels.length === 0) return null;
  const memory = channels.reduce((sum, { budgetBytes }) => sum + budgetBytes, 0);
  return (
    <Panel
      title="Channels"
      aside={<span className="soft">{`${count(channels.length, 'channel')}, ${bytes(memory)} in all`}</span>}
      isFlush
    >
      {channels.map((channel) => (
        <Channel key={channel.name} channel={channel} />
      ))}
    </Panel>
  );
}

function Channel({ channel }: { channel: ChannelStatus }) {
  const { name, mode, budgetBytes, publishers, subscribers, fault } = channel;
  return (
    <section className="channel" aria-label={`Channel ${name}`}>
      <header className="channel-head">
        <span className="cluster">
          <h3>{name}</h3>
          <Badge word={channelWord(channel)} />
        </span>
        <span className="dotted small soft">
          <span title={CHANNEL_MODE_WORDS[mode]}>{mode}</span>
          <span>{ringText(channel)} a publisher</span>
          <span>{bytes(budgetBytes)}</span>
        </span>
      </header>
      {fault === undefined ? null : <p className="channel-fault small text-bad">{fault}</p>}
      <Peers caption={`Publishers of ${name}`} titles={PUBLISHER_TITLES}>
        {publishers.map((publisher) => (
          <PublisherRow key={publisher.service} publisher={publisher} />
        ))}
      </Peers>
      <Peers caption={`Subscribers of ${name}`} titles={SUBSCRIBER_TITLES}>
        {subscribers.map((subscriber) => (
          <SubscriberRow key={subscriber.service} subscriber={subscriber} channel={channel} />
        ))}
      </Peers>
    </section>
  );
}

const PUBLISHER_TITLES = ['Publisher', 'State', 'Rate', 'Published', 'Dropped', 'Waited', 'Starts'];
const SUBSCRIBER_TITLES = ['Subscriber', 'State', 'Behind', 'Received', 'Overruns', 'Resets', 'Torn'];
/** The first columns are words, the others counts. */
const WORD_COLUMNS = 3;

interface PeersProps {
  caption: string;
  titles: readonly string[];
  children: React.ReactNode;
}

function Peers({ caption, titles, children }: PeersProps) {
  return (
    <table className="table cards channel-table" role="table">
      <caption className="channel-caption">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {titles.map((title, index) => (
            <th
              key={title}
              role="columnheader"
              scope="col"
              className={index < WORD_COLUMNS ? undefined : 'right'}
            >
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">{children}</tbody>
    </table>
  );
}

function PublisherRow({ publisher }: { publisher: ChannelPublisher }) {
  const { service, messages, dropped, blocked, starts } = publisher;
  return (
    <tr role="row">
      <th role="rowheader" scope="row" className="cell-main">
        {service}
      </th>
      <td role="cell" data-label="State">
        <Badge word={publisherWord(publisher)} />
      </td>
      <td role="cell" data-label="Rate">
        <Rate publisher={publisher} />
      </td>
      <td role="cell" data-label="Published" className="right">
        {tally(messages)}
      </td>
      <td role="cell" data-label="Dropped" className="right">
        <Count value={dropped} tone="bad" />
      </td>
      <td role="cell" data-label="Waited" className="right">
        <Count value={blocked} tone="warn" />
      </td>
      <td role="cell" data-label="Starts" className="right">
        {tally(starts)}
      </td>
    </tr>
  );
}

function Rate({ publisher: { messagesPerSecond, bytesPerSecond } }: { publisher: ChannelPublisher }) {
  if (messagesPerSecond === undefined) return <span className="soft">not measured yet</span>;
  return (
    <span>
      {tally(messagesPerSecond)}/s <span className="soft nowrap">{bytes(bytesPerSecond ?? 0)}/s</span>
    </span>
  );
}

interface SubscriberRowProps {
  subscriber: ChannelSubscriber;
  channel: ChannelStatus;
}

function SubscriberRow({ subscriber, channel }: SubscriberRowProps) {
  const { service, lag, received, overruns, resets, torn, evictions } = subscriber;
  return (
    <tr role="row">
      <th role="rowheader" scope="row" className="cell-main">
        {service}
        {evictions > 0 ? (
          <span className="service-reason small text-warn">
            {evictions === 1 ? 'evicted once' : `evicted ${tally(evictions)} times`}
          </span>
        ) : null}
      </th>
      <td role="cell" data-label="State">
        <Badge word={subscriberWord(subscriber, channel)} />
      </td>
      <td role="cell" data-label="Behind">
        {channel.mode === 'latest' ? (
          tally(lag)
        ) : (
          <Meter label={`${service} is behind by`} value={lag} max={channel.depth} format={tally} />
        )}
      </td>
      <td role="cell" data-label="Received" className="right">
        {tally(received)}
      </td>
      <td role="cell" data-label="Overruns" className="right">
        <Count value={overruns} tone="warn" />
      </td>
      <td role="cell" data-label="Resets" className="right">
        <span className={resets === 0 ? 'soft' : undefined}>{tally(resets)}</span>
      </td>
      <td role="cell" data-label="Torn" className="right">
        <Count value={torn} tone="warn" />
      </td>
    </tr>
  );
}
