/** What several bodies of the REST API are made of. */
import { type Static, Type } from 'typebox';

export const Text = Type.String({ maxLength: 1024 });
export const Time = Type.Integer({ description: 'Unix time in milliseconds' });
export const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);
export const Closed = { additionalProperties: false };

export const ReleaseRef = Type.Object({ id: Type.String(), name: Type.String(), version: Type.String() });
export type ReleaseRef = Static<typeof ReleaseRef>;

export const RefusalReason = Type.Object({ code: Type.String(), message: Type.String(), at: Time });
