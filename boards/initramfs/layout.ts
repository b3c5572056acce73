import { CHOICE_SECTOR, DEVICE_FOLDER, PARTITIONS } from '../layout.ts';

const { extended, data, 'system-b': beforeData } = PARTITIONS;
const named = Object.values(PARTITIONS).filter(({ name }) => name !== 'extended');

/** /layout of the initramfs: what its script takes from boards/layout.ts, as shell variables. */
export const LAYOUT_VARIABLES = [
  `DEVICES=${DEVICE_FOLDER}`,
  `CHOICE_SECTOR=${CHOICE_SECTOR}`,
  `NAMES="${named.map(({ name, number }) => `${name}=${number}`).join(' ')}"`,
  `EXTENDED_START=${extended.start}`,
  `DATA_START=${data.start}`,
  `DATA_RECORD=${data.record}`,
  `LINK_RECORD=${beforeData.record}`,
  '',
].join('\n');
