import type { Release } from '../../api/types.ts';
import { bytes, count } from '../../format/quantity.ts';
import { When } from '../../ui/when.tsx';

interface ReleasePickerProps {
  releases: Release[];
  chosen: string | undefined;
  choose: (id: string) => void;
}

export function ReleasePicker({ releases, chosen, choose }: ReleasePickerProps) {
  const newest = releases.toSorted((a, b) => b.uploadedAt - a.uploadedAt);
  return (
    <fieldset className="panel picker">
      <legend>
        <span className="picker-number" aria-hidden="true">
          1
        </span>{' '}
        Release
      </legend>
      <div className="options">
        {newest.map((release) => (
          <label key={release.id} className="option">
            <input
              type="radio"
              name="release"
              checked={release.id === chosen}
              onChange={() => choose(release.id)}
            />
            <span className="option-text">
              <strong>
                {release.name} {release.version}
              </strong>
              <span className="soft small">{release.boards.join(', ')}</span>
            </span>
            <span className="option-note soft small">
              <span>
                {count(release.services.length, 'service')},{' '}
                {bytes(Math.max(0, ...Object.values(release.sizeBytes)))}, <When at={release.uploadedAt} />
              </span>
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
