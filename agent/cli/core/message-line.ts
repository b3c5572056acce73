import { printable } from './layout.ts';

type MessageForm = 'text' | 'hex';

/** The form that loses nothing: text where all of it can be printed, hex for anything else. */
export function formOf(data: Uint8Array): MessageForm {
  const text = decode(data)?.replaceAll(/[\n\t]/g, ' ');
  return text !== undefined && printable(text) === text ? 'text' : 'hex';
}

/** One line of it: control characters never reach the terminal. */
export const show = (data: Uint8Array, form: MessageForm): string =>
  form === 'hex'
    ? [...data].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    : printable((decode(data) ?? String.fromCharCode(...data)).replaceAll('\n', ' ').trimEnd());

/** UTF-8, or undefined. The message may be cut in the middle of a character. */
function decode(data: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(data, { stream: true });
  } catch {
    return undefined;
  }
}
