/** For tests that need file handles, or inodes without descriptors. */
import { writeFileSync } from 'node:fs';
import { openSys } from '@oriel/sys';
import { PassthroughFilesystem } from '../../src/index.ts';
import type { TestShare } from './share.ts';

/** True where this process may open files of `place` by handle. */
export function handlesWork(place: string): boolean {
  try {
    using _fs = new PassthroughFilesystem({ sys: openSys(), sharedDir: place, inodeFileHandles: 'mandatory' });
    return true;
  } catch {
    return false;
  }
}

/** Skips a test, loudly, where file handles cannot be used. */
export function needHandles(context: Mocha.Context, place: string): void {
  if (!handlesWork(place)) {
    console.log(`      SKIPPED, files in ${place} cannot be opened by handle here`);
    context.skip();
  }
}

/** Looks so many new files up that nothing looked up before keeps its descriptor. */
export function crowd(share: TestShare, prefix: string, descriptors: number): void {
  for (let n = 0; n < 2 * descriptors; n++) {
    const name = `${prefix}${n}`;
    writeFileSync(share.at(name), '');
    share.node(name);
  }
}
