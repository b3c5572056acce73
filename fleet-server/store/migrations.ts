import { type Kysely, sql } from 'kysely';

/** Forward only: a shipped migration is never edited; the next one is appended. */
export const MIGRATIONS: readonly string[][] = [
  [
    `create table devices (id text primary key, board text not null, platform text not null,
       enrolledAt integer not null, certificateSha256 text not null, certificateExpiresAt integer not null,
       blockedAt integer, desiredReleaseId text, desiredGeneration integer not null)`,
    `create table deviceState (deviceId text primary key, lastSeenAt integer not null, agentVersion text,
       reportJson text, currentManifest text)`,
    `create index deviceStateManifest on deviceState (currentManifest)`,
    `create table deviceEvents (deviceId text not null, id text not null, at integer not null,
       receivedAt integer not null, bodyJson text not null, primary key (deviceId, id))`,
    `create index deviceEventsTime on deviceEvents (deviceId, receivedAt)`,
    `create table serviceMetrics (deviceId text not null, service text not null, at integer not null,
       memoryBytes integer not null, cpu real not null, pids integer not null)`,
    `create index serviceMetricsDevice on serviceMetrics (deviceId, at)`,
    `create index serviceMetricsTime on serviceMetrics (at)`,
    `create table releases (id text primary key, name text not null, version text not null,
       manifestSha256 text not null, manifestJson text not null, signedByJson text not null,
       targetsVersion integer not null, uploadedAt integer not null, uploadedBy text not null,
       unique (name, version))`,
    `create table repositoryFiles (name text primary key, text text not null)`,
    `create table repositoryRoles (role text primary key, version integer not null, expiresAt integer not null)`,
    `create table rollouts (id text primary key, releaseId text not null, state text not null,
       createdAt integer not null, createdBy text not null)`,
    `create table attempts (id text primary key, rolloutId text not null, deviceId text not null,
       state text not null, generation integer not null, manifestSha256 text not null, progressJson text,
       reasonJson text, updatedAt integer not null)`,
    `create index attemptsRollout on attempts (rolloutId)`,
    `create index attemptsDevice on attempts (deviceId, generation)`,
    `create table enrolmentTokens (tokenSha256 text primary key, usesLeft integer not null,
       expiresAt integer not null, note text, createdAt integer not null)`,
    `create table users (name text primary key, passwordHash text not null)`,
    `create table sessions (tokenSha256 text primary key, userName text not null, expiresAt integer not null)`,
    `create table apiTokens (id text primary key, tokenSha256 text not null unique, userName text not null,
       note text not null, createdAt integer not null)`,
    `create table audit (id text primary key, at integer not null, who text not null, action text not null,
       subject text not null, detail text not null)`,
  ],
  [
    `create table postMortems (deviceId text not null, id text not null, at integer not null,
       receivedAt integer not null, summaryJson text not null, bodyJson text not null,
       primary key (deviceId, id))`,
    `create index postMortemsTime on postMortems (deviceId, receivedAt)`,
  ],
  [
    `alter table rollouts add column policyJson text`,
    `alter table devices add column desiredPolicyJson text`,
    `alter table devices add column pinnedAt integer`,
    `alter table devices add column pinnedBy text`,
  ],
  [`alter table rollouts add column egressBytesPerSecond integer`],
  [
    `alter table users add column role text not null default 'admin'`,
    `alter table apiTokens add column role text not null default 'admin'`,
  ],
];

/** Brings the schema up to date. Throws when the database is from a newer program. */
export async function migrate<T>(db: Kysely<T>): Promise<void> {
  await sql`create table if not exists schemaVersion (version integer not null)`.execute(db);
  const { rows } = await sql<{ version: number }>`select version from schemaVersion`.execute(db);
  const from = rows[0]?.version ?? 0;
  if (from > MIGRATIONS.length) {
    throw new Error(
      `Cannot open the database: its schema is version ${from}, this program knows ${MIGRATIONS.length}; use the newer program`,
    );
  }
  for (const [index, statements] of MIGRATIONS.entries()) {
    if (index < from) continue;
    await db.transaction().execute(async (transaction) => {
      for (const statement of statements) await sql.raw(statement).execute(transaction);
      await sql`delete from schemaVersion`.execute(transaction);
      await sql`insert into schemaVersion values (${index + 1})`.execute(transaction);
    });
  }
}
