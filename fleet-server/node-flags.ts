/**
 * Flags of Node for the server. Served content lies outside V8's heap and is freed when its young generation is
 * collected: a small one is collected often and cheaply, before what lies outside forces a collection of everything.
 * Halves the CPU of a transfer (benchmark update-transfer).
 */
export const NODE_FLAGS: readonly string[] = ['--max-semi-space-size=1', '--min-semi-space-size=1'];
