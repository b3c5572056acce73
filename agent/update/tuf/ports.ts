/** Where a TUF client meets the world. */

/** A metadata file: `version` as in its name, undefined where files are named without (timestamp, or no consistent snapshot). */
export interface MetadataFile {
  role: string;
  version: number | undefined;
}

/** Serves metadata. What it gives is not trusted. */
export interface MetadataSource {
  /** Throws SourceError: `unknown-object` when there is no such file, `too-large` past `maxBytes`. */
  read(file: MetadataFile, maxBytes: number, signal: AbortSignal): Promise<Buffer>;
}

/** The exact texts of the trusted metadata. */
export interface TrustedTexts {
  root: string;
  timestamp?: string | undefined;
  snapshot?: string | undefined;
  targets?: string | undefined;
  /** By role name: those that a search came by. */
  delegated?: Record<string, string> | undefined;
  /** Highest floor ever trusted, by release line. A floor never goes down. */
  floors?: Record<string, number> | undefined;
}

export interface LoadedTrust {
  texts: TrustedTexts;
  /** `factory-after-loss`: there was trusted metadata and it cannot be read; the system image's root is the floor again. */
  origin: 'stored' | 'factory' | 'factory-after-loss';
}

/** Keeps the trusted metadata. */
export interface TrustedMetadata {
  load(): Promise<LoadedTrust>;
  /** Durable at return, whole or not at all. */
  save(texts: TrustedTexts): Promise<void>;
}
