/**
 * ULIDs, the names of blocks: 48 bits of milliseconds, 80 random bits, as 26 characters of Crockford's base 32.
 *
 *   01M7YDXPPR GYAC9KJFFSZP7AVG
 *   time (10)  randomness (16)     → names sort by time of creation
 */
import { TsdbError } from '../errors.ts';

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const TIME_CHARACTERS = 10;
const RANDOM_CHARACTERS = 16;
const TIME_MAX = 2 ** 48 - 1;

/** Randomness as an argument: a number in [0, 1), as `Math.random` gives. */
export type Random = () => number;

/** Makes a ULID. @param nowMs ms since 1970, below 2^48 */
export function createUlid(nowMs: number, random: Random): string {
  if (!Number.isInteger(nowMs) || nowMs < 0 || nowMs > TIME_MAX) {
    throw new TsdbError('ERR_ULID', `create ULID: time ${nowMs} is outside 0…${TIME_MAX}`);
  }
  let text = '';
  let rest = nowMs;
  for (let i = 0; i < TIME_CHARACTERS; i++) {
    text = ALPHABET[rest % 32]! + text;
    rest = Math.floor(rest / 32);
  }
  for (let i = 0; i < RANDOM_CHARACTERS; i++) text += ALPHABET[Math.floor(random() * 32)]!;
  return text;
}

/** Whether a name is a ULID in its upper-case form. */
export function isUlid(name: string): boolean {
  return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(name);
}

/** Time of creation, ms since 1970. @throws TsdbError ERR_ULID */
export function ulidTimeMs(ulid: string): number {
  if (!isUlid(ulid)) throw new TsdbError('ERR_ULID', `read ULID: ${JSON.stringify(ulid)} is not 26 characters of base 32`);
  let ms = 0;
  for (let i = 0; i < TIME_CHARACTERS; i++) ms = ms * 32 + ALPHABET.indexOf(ulid[i]!);
  return ms;
}
