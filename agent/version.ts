import manifest from '../package.json' with { type: 'json' };

export const AGENT_VERSION: string = manifest.version;
/** A floor for the clock of a board that has none: no release is older than the agent that runs it. Unix ms. */
export const BUILT_AT = Date.UTC(2026, 10, 1);
