import type { PostMortem, PostMortemSummary } from '../../../protocol/post-mortem.ts';

/** A post-mortem as the device keeps it: a file that survives reboots. */
export type Capsule = PostMortem;

/** A capsule before it has its name. */
export type CapsuleContent = Omit<Capsule, 'v' | 'id'>;

export type CapsuleSummary = PostMortemSummary;
