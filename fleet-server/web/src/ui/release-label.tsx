export function ReleaseLabel({ name, version }: { name: string; version: string }) {
  return (
    <span className="release-label">
      {name} <strong>{version}</strong>
    </span>
  );
}
