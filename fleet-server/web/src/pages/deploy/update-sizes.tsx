import { useUpdateSizes } from '../../api/queries.ts';
import type { DeviceSummary, Release } from '../../api/types.ts';
import { mostBytes, sizeLines } from '../../derive/deploy.ts';
import { bytes } from '../../format/quantity.ts';

interface UpdateSizesProps {
  release: Release;
  devices: DeviceSummary[];
}

/** What the update sends, by what the devices run. Until the server has said, what it sends at most. */
export function UpdateSizes({ release, devices }: UpdateSizesProps) {
  const ids = devices.map(({ id }) => id).sort();
  const { data } = useUpdateSizes(release.id, ids);
  if (!data) return `at most ${bytes(mostBytes(release, devices))}; devices fetch only what they lack`;
  const { total, lines } = sizeLines(data);
  return (
    <>
      {total}
      <ul className="rule-list">
        {lines.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
    </>
  );
}
