import type { FromSchema } from 'json-schema-to-ts';
import { BYTES_PATTERN } from './quantities.ts';
import { validator } from './validate.ts';

/** `board-configs/<board>/board.yaml`: all that differs between boards. */
const bytes = { type: 'string', pattern: BYTES_PATTERN, description: 'a size such as 512MiB' } as const;

const percent = { type: 'number', minimum: 1, maximum: 100 } as const;

export const boardSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'title', 'platform', 'memory', 'cpus', 'reserve'],
  properties: {
    name: { type: 'string', pattern: '^[a-z][a-z0-9-]{0,62}$' },
    title: { type: 'string' },
    platform: { enum: ['linux/amd64', 'linux/arm64'] },
    /** Memory the smallest variant of the board has. */
    memory: bytes,
    cpus: { type: 'integer', minimum: 1, maximum: 256 },
    /** Kept from services: kernel and base system; the agent itself. */
    reserve: {
      type: 'object',
      additionalProperties: false,
      required: ['system', 'agent'],
      properties: { system: bytes, agent: bytes },
    },
    /** When load is shed; what is left out takes the supervisor's default. */
    shed: {
      type: 'object',
      additionalProperties: false,
      properties: {
        /** PSI "some" of the last 10 s, percent of the time. */
        memoryPressure: percent,
        ioPressure: percent,
        temperatureCelsius: { type: 'number', minimum: 20, maximum: 120 },
      },
    },
    /** Bytes that the storage takes before it wears out, as its maker says. */
    storageEndurance: bytes,
  },
} as const;

export type Board = FromSchema<typeof boardSchema>;
export const checkBoard = validator<Board>(boardSchema);
