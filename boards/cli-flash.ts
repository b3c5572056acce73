import { formatBytes } from '../protocol/quantities.ts';
import { type Invocation, need, print } from '../release/cli-io.ts';
import { builtBoard, VARIANT_HELP } from './cli-build.ts';
import { FIRMWARE_OPTIONS_HELP, givenFirmware } from './cli-firmware-files.ts';
import { flash } from './flasher/flash.ts';

export const FLASH_HELP = `Usage: wherry board flash BOARD|IMAGE --device /dev/sdX [--wherry-json FILE --root FILE]

Writes an image to a card, reads it back, and puts what the board is to be on its first partition. A BOARD's image is
built first where it is not; IMAGE is a file, .img or .img.zst. Refuses disks that are mounted, in use, of this system,
or too small (exit code 4).

  --device DEVICE     the whole disk
${FIRMWARE_OPTIONS_HELP}${VARIANT_HELP}  --json              print the result as JSON
`;

const REPORT_EVERY_MS = 200;

export async function runFlash(invocation: Invocation): Promise<number> {
  const { operands, io } = invocation;
  const [what = ''] = operands;
  const device = need(invocation, 'device', 'WHERRY_DEVICE', 'device');
  const firmware = await givenFirmware(invocation);
  const image = /[/.]/.test(what) ? what : (await builtBoard(invocation, what)).disk;
  const { bytes, sha256 } = await flash({
    image,
    device,
    firmwareFiles: firmware?.files ?? {},
    signal: io.signal ?? new AbortController().signal,
    onProgress: progressLine(invocation),
  });
  print(invocation, { device, image, bytes, sha256, name: firmware?.wishes.name }, [
    `Wrote ${formatBytes(bytes)} to ${device} and read them back`,
    firmware
      ? `It will be "${firmware.wishes.name}"`
      : 'Put wherry.json and root.json on its first partition before it boots: docs/board-setup.md',
  ]);
  return 0;
}

/** One line that is written over, on a terminal only. */
function progressLine({ io }: Invocation): (step: string, bytes: number, ofBytes: number) => void {
  if (!(io.stderr as { isTTY?: boolean }).isTTY) return () => undefined;
  const began = performance.now();
  let shownAt = 0;
  return (step, bytes, ofBytes) => {
    const now = performance.now();
    const isEnd = bytes === ofBytes;
    if (!isEnd && now - shownAt < REPORT_EVERY_MS) return;
    shownAt = now;
    const percent = Math.floor((100 * bytes) / ofBytes);
    const seconds = Math.round((now - began) / 1000);
    io.stderr.write(
      `\r${step} ${percent} % of ${formatBytes(ofBytes)}, ${seconds} s \x1b[K${isEnd ? '\n' : ''}`,
    );
  };
}
