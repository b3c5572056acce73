import type { FastifyReply, FastifyRequest } from 'fastify';
import { sha256Hex } from '../../protocol/canonical.ts';
import { secretToken, uuidv7 } from '../ids.ts';
import { ProblemError } from '../problems.ts';
import { RateLimit } from '../rate-limit.ts';
import { mayActAs, type Role } from '../roles.ts';
import { audit } from '../store/audit.ts';
import type { Database } from '../store/tables.ts';
import type { Session } from './api.ts';
import { checkPassword, hashPassword } from './passwords.ts';

const COOKIE = 'wherry_session';
const SESSION_MS = 12 * 3_600_000;
const LOGINS_PER_MINUTE = 10;
const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/** Sessions by cookie, programs by bearer token. Only hashes of either are stored. */
export class Auth {
  readonly #db: Database;
  readonly #now: () => number;
  readonly #logins: RateLimit;

  constructor(db: Database, now: () => number) {
    this.#db = db;
    this.#now = now;
    this.#logins = new RateLimit(LOGINS_PER_MINUTE, 60_000, now);
  }

  async login(
    request: FastifyRequest,
    reply: FastifyReply,
    { name, password }: { name: string; password: string },
  ): Promise<Session> {
    if (!this.#logins.take(request.ip))
      throw new ProblemError('request.rate-limited', 'Cannot sign in: too many tries; wait a minute');
    const user = await this.#db
      .selectFrom('users')
      .select(['passwordHash', 'role'])
      .where('name', '=', name)
      .executeTakeFirst();
    if (!(await checkPassword(password, user?.passwordHash)) || !user)
      throw new ProblemError('session.credentials', 'Cannot sign in: the name or the password is wrong');
    const token = secretToken();
    const expiresAt = this.#now() + SESSION_MS;
    await this.#db
      .insertInto('sessions')
      .values({ tokenSha256: sha256Hex(token), userName: name, expiresAt })
      .execute();
    await audit(this.#db, { at: this.#now(), who: name, action: 'session.create', subject: name });
    reply.setCookie(COOKIE, token, { ...COOKIE_OPTIONS, maxAge: SESSION_MS / 1_000 });
    return { name, role: user.role, expiresAt };
  }

  async logout(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const token = request.cookies[COOKIE];
    if (token) {
      await this.#db.deleteFrom('sessions').where('tokenSha256', '=', sha256Hex(token)).execute();
      await audit(this.#db, {
        at: this.#now(),
        who: request.who.name,
        action: 'session.delete',
        subject: request.who.name,
      });
    }
    reply.clearCookie(COOKIE, COOKIE_OPTIONS);
  }

  /** Throws ProblemError when whoever asks may not: what changes something is an administrator's, unless its route says. */
  admit({ who, method, routeOptions: { config } }: FastifyRequest): void {
    const wanted = config.role ?? (SAFE_METHODS.includes(method) ? 'operator' : 'admin');
    if (mayActAs(who.role, wanted)) return;
    throw new ProblemError(
      'session.role',
      `Cannot do this: it is for the role ${wanted}, and yours is ${who.role}`,
    );
  }

  /** Who is asking. Throws ProblemError when nobody is, or when another site makes the browser ask. */
  async identify(request: FastifyRequest): Promise<Session> {
    const bearer = /^Bearer ([A-Za-z0-9_-]+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (bearer !== undefined) return this.#ofApiToken(bearer);
    const token = request.cookies[COOKIE];
    const row =
      token &&
      (await this.#db
        .selectFrom('sessions')
        .innerJoin('users', 'users.name', 'sessions.userName')
        .select(['userName', 'expiresAt', 'role'])
        .where('tokenSha256', '=', sha256Hex(token))
        .where('expiresAt', '>', this.#now())
        .executeTakeFirst());
    if (!row) throw new ProblemError('session.required', 'Cannot answer: sign in, or send an API token');
    if (!SAFE_METHODS.includes(request.method)) checkSameOrigin(request);
    return { name: row.userName, role: row.role, expiresAt: row.expiresAt };
  }

  async #ofApiToken(token: string): Promise<Session> {
    const row = await this.#db
      .selectFrom('apiTokens')
      .innerJoin('users', 'users.name', 'apiTokens.userName')
      .select(['userName', 'apiTokens.role as tokenRole', 'users.role as userRole'])
      .where('tokenSha256', '=', sha256Hex(token))
      .executeTakeFirst();
    if (!row) throw new ProblemError('session.required', 'Cannot answer: the API token is not known');
    const role = mayActAs(row.userRole, row.tokenRole) ? row.tokenRole : row.userRole;
    return { name: row.userName, role, expiresAt: Number.MAX_SAFE_INTEGER };
  }

  async createApiToken(
    { name: userName, role: own }: Session,
    { note, role = own }: { note: string; role?: Role },
  ): Promise<{ token: string }> {
    if (!mayActAs(own, role))
      throw new ProblemError(
        'session.role',
        `Cannot make the token: your role is ${own}, and it would be ${role}`,
      );
    const token = secretToken();
    const at = this.#now();
    const id = uuidv7(at);
    await this.#db.transaction().execute(async (db) => {
      await db
        .insertInto('apiTokens')
        .values({ id, tokenSha256: sha256Hex(token), userName, note, createdAt: at, role })
        .execute();
      await audit(db, { at, who: userName, action: 'api-token.create', subject: id, detail: note });
    });
    return { token };
  }

  /** Makes the user, or gives another password and role to one that there is. Its sessions end. */
  async putUser(
    by: Session,
    name: string,
    { password, role }: { password: string; role: Role },
  ): Promise<void> {
    if (name === by.name)
      throw new ProblemError('session.role', 'Cannot change yourself: another administrator does that');
    const passwordHash = await hashPassword(password);
    const at = this.#now();
    await this.#db.transaction().execute(async (db) => {
      await db
        .insertInto('users')
        .values({ name, passwordHash, role })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ passwordHash, role }))
        .execute();
      await db.deleteFrom('sessions').where('userName', '=', name).execute();
      await audit(db, { at, who: by.name, action: 'user.put', subject: name, detail: role });
    });
  }

  async purge(): Promise<void> {
    await this.#db.deleteFrom('sessions').where('expiresAt', '<=', this.#now()).execute();
  }
}

const COOKIE_OPTIONS = { path: '/', httpOnly: true, sameSite: 'strict' } as const;

/** SameSite alone leaves other ports of this host and old browsers. Browsers send one of the two with a mutation. */
function checkSameOrigin(request: FastifyRequest): void {
  const site = request.headers['sec-fetch-site'];
  const { origin, host } = request.headers;
  const isSame =
    site === undefined ? origin !== undefined && hostOf(origin) === host : site === 'same-origin';
  if (isSame) return;
  throw new ProblemError(
    'request.cross-site',
    'Cannot accept the request: with a session cookie it must come from this site; programs use an API token',
  );
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The weakest that may; absent: operators read, administrators change. */
    role?: Role;
  }
  interface FastifyRequest {
    who: Session;
  }
}
