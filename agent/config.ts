import { readFileSync } from 'node:fs';
import type { FromSchema } from 'json-schema-to-ts';
import { boardSchema } from '../protocol/board.ts';
import { validator } from '../protocol/validate.ts';

/** `/etc/wherry/agent.json`. Closed: an unknown key is an error that names it. */
const path = { type: 'string', pattern: '^/', description: 'an absolute path' } as const;

export const agentConfigSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'board', 'stateDir', 'runDir', 'socket', 'trustRoot'],
  properties: {
    /** Wished device id. */
    name: {
      type: 'string',
      pattern: '^[a-z0-9](?:[a-z0-9-]{0,52}[a-z0-9])?$',
      description: 'lower-case letters, digits and "-"',
    },
    board: boardSchema,
    /** Survives reboots: ledger, identity, blobs, logs. */
    stateDir: path,
    /** Gone at reboot: mounts, bundles, exit files. */
    runDir: path,
    socket: path,
    /** Factory root metadata: where trust in releases begins. */
    trustRoot: path,
    /** How to enrol while the device has no identity; the server prints it. */
    join: { type: 'string' },
    /** OCI runtime of services that name none. */
    runtime: { type: 'string', pattern: '^[a-z][a-z0-9-]{0,31}$' },
    /** What services may name, instead of crun and runc. */
    runtimes: {
      type: 'object',
      propertyNames: { pattern: '^[a-z][a-z0-9-]{0,31}$' },
      minProperties: 1,
      maxProperties: 16,
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['program'],
        properties: {
          program: { type: 'string', minLength: 1 },
          args: { type: 'array', items: { type: 'string' }, maxItems: 16 },
        },
      },
    },
    /** Where else image data may come from, asked first: `<address>/<object>` over HTTP, or a folder. */
    mirrors: {
      type: 'array',
      maxItems: 8,
      items: {
        type: 'string',
        maxLength: 1024,
        pattern: '^(https?://[^\\s?#]*[^\\s?#/]|/.*)$',
        description: 'http(s)://host/path without a slash at the end, or an absolute path',
      },
    },
    /** Network interfaces on which somebody pays by the byte, beside modems, which are known by name. */
    metered: { type: 'array', items: { type: 'string', minLength: 1, maxLength: 15 }, maxItems: 16 },
    /** Whether a service that failed too often may have the device rebooted. */
    reboot: { enum: ['allowed', 'never'] },
    /** What users of the fleet server may have this device do, beside updates. Absent: all but `exec`. */
    remote: {
      type: 'object',
      additionalProperties: false,
      properties: {
        logs: { type: 'boolean' },
        why: { type: 'boolean' },
        restart: { type: 'boolean' },
        reboot: { type: 'boolean' },
        bundle: { type: 'boolean' },
        exec: { type: 'boolean' },
      },
    },
    /** Names this agent's cgroups and containers, so that several can share a machine. */
    instance: { type: 'string', pattern: '^[a-z0-9-]{1,32}$' },
    /** On a device the services outlive the agent; a demo takes them down with it. */
    onStop: { enum: ['keep-services', 'stop-services'] },
    logLevel: { enum: ['debug', 'info', 'warn', 'error'] },
  },
} as const;

type Given = FromSchema<typeof agentConfigSchema>;
export type AgentConfig = Given &
  Required<Pick<Given, 'runtime' | 'instance' | 'onStop' | 'logLevel' | 'reboot'>>;

/** For whoever looks at a configuration without starting an agent. */
export const checkAgentConfig = validator<Given>(agentConfigSchema);
const DEFAULTS = {
  runtime: 'crun',
  instance: 'agent',
  onStop: 'keep-services',
  logLevel: 'info',
  reboot: 'never',
  /** Programs are run where somebody has turned it on. */
  remote: { logs: true, why: true, restart: true, bundle: true, exec: false },
} as const;

/** What holds where a configuration says nothing: a machine that its services may not reboot is not rebooted from afar. */
export const configDefaults = ({ reboot }: { reboot?: Given['reboot'] }) => ({
  ...DEFAULTS,
  remote: { ...DEFAULTS.remote, reboot: reboot === 'allowed' },
});

/** Throws an Error whose message says which file, what is wrong and where. */
export function loadConfig(file: string): AgentConfig {
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(
      `Cannot read configuration ${file}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  const checked = checkAgentConfig(document);
  if (!checked.ok) throw new Error(`Cannot use configuration ${file}: ${checked.faults.join('; ')}`);
  const defaults = configDefaults(checked.value);
  return { ...defaults, ...checked.value, remote: { ...defaults.remote, ...checked.value.remote } };
}
