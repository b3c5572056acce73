import { Notice } from '../../../ui/notice.tsx';

/** What a stream ended with, where that is worth a word. */
export function Ended({ code, message }: { code: string; message: string }) {
  if (code === 'done') return null;
  const title = code === 'over' ? 'Its time is over' : 'It ended';
  return (
    <Notice tone="warn" title={title}>
      <p>{code === 'over' ? 'Open it again to go on.' : message || 'The device said nothing more.'}</p>
    </Notice>
  );
}
