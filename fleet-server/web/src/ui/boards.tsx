import { Fragment } from 'react';

/** Names hold hyphens: each stays on one line. */
export function Boards({ names }: { names: readonly string[] }) {
  return (
    <span>
      {names.map((name, index) => (
        <Fragment key={name}>
          {index > 0 ? ', ' : null}
          <span className="nowrap">{name}</span>
        </Fragment>
      ))}
    </span>
  );
}
