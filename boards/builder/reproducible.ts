/** 2025-01-01, in seconds: the time of every file, so that the same input gives the same bytes. */
export const BUILT_AT = 1_735_689_600;
export const SYSTEM_UUID = '77686572-7279-4000-8000-000000000001';
export const DATA_UUID = '77686572-7279-4000-8000-000000000002';
