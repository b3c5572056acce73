import { useState } from 'react';
import { useDevicePostMortem, useDevicePostMortems } from '../../api/queries.ts';
import type { PostMortemSummary } from '../../api/types.ts';
import { count } from '../../format/quantity.ts';
import { POST_MORTEM_WORDS } from '../../format/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { Load } from '../../ui/load.tsx';
import { Panel } from '../../ui/panel.tsx';
import { When } from '../../ui/when.tsx';
import { PostMortemBody } from './post-mortem-body.tsx';

const FIRST_SHOWN = 6;

/** What the device kept of services that crashed, ran out of memory or took their release down. */
export function PostMortemsPanel({ id }: { id: string }) {
  const query = useDevicePostMortems(id);
  const number = query.data?.items.length ?? 0;
  return (
    <Panel
      title="Post-mortems"
      aside={number > 0 ? <span className="soft">{count(number, 'kept', 'kept')}</span> : null}
      isFlush={number > 0}
    >
      <Load query={query} lines={3}>
        {({ items }) => <List device={id} items={items} />}
      </Load>
    </Panel>
  );
}

function List({ device, items }: { device: string; items: PostMortemSummary[] }) {
  const [isAll, setIsAll] = useState(false);
  if (items.length === 0) {
    return (
      <p className="soft">
        None. When a service crashes, runs out of memory or takes its release down, what is known of it comes
        here.
      </p>
    );
  }
  const shown = isAll ? items : items.slice(0, FIRST_SHOWN);
  return (
    <div>
      {shown.map((item) => (
        <Entry key={item.id} device={device} item={item} />
      ))}
      {shown.length < items.length ? (
        <p className="post-mortem-body">
          <button type="button" className="button" onClick={() => setIsAll(true)}>
            {`Show all ${items.length}`}
          </button>
        </p>
      ) : null}
    </div>
  );
}

function Entry({ device, item }: { device: string; item: PostMortemSummary }) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <details className="post-mortem" onToggle={(event) => setIsOpen(event.currentTarget.open)}>
      <summary>
        <Badge word={POST_MORTEM_WORDS[item.kind]} />
        <span className="post-mortem-what">
          <Sentence subject={item.service ?? item.release ?? 'The device'} message={item.message} />
        </span>
        <span className="soft small">
          <When at={item.at} />
        </span>
      </summary>
      {isOpen ? <Whole device={device} id={item.id} /> : null}
    </details>
  );
}

/** A message that begins with what it is about says it once. */
function Sentence({ subject, message }: { subject: string; message: string }) {
  const text = message || 'no reason is on record';
  return (
    <>
      <strong>{subject}</strong> {text.startsWith(subject) ? text.slice(subject.length).trimStart() : text}
    </>
  );
}

/** Asked for only once somebody looks: one may be 32 KiB. */
function Whole({ device, id }: { device: string; id: string }) {
  const query = useDevicePostMortem(device, id);
  return (
    <div className="post-mortem-body">
      <Load query={query} lines={6}>
        {(postMortem) => <PostMortemBody postMortem={postMortem} />}
      </Load>
    </div>
  );
}
