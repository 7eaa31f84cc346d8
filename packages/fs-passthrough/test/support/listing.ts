/** Directories to list. */
import { writeFileSync } from 'node:fs';
import type { TestShare } from './share.ts';

/** From the first record on. */
export const START = { cookieLo: 0, cookieHi: 0 };

/** A directory with `count` files. */
export function fill(share: TestShare, count: number, dir = ''): string[] {
  const names = Array.from({ length: count }, (_, index) => `file-${index}`);
  for (const name of names) {
    writeFileSync(share.at(dir, name), '');
  }
  return names;
}

/** In order. */
export function namesOf(records: readonly { readonly name: string }[]): string[] {
  return records.map(({ name }) => name).sort();
}
