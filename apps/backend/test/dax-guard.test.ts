import { ENOSYS, EOPNOTSUPP, EPERM } from '@oriel/sys';
import { mockSys, type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { CliError } from '../src/cli/cli-error.ts';
import { checkGuard } from '../src/dax-guard.ts';

describe('the guard of a share', () => {
  let dir: TempDir;

  beforeEach(() => {
    dir = tempDir();
  });
  afterEach(() => dir[Symbol.dispose]());

  for (const [what, fanotify, says] of [
    ['rights', { init: () => -EPERM }, 'CAP_SYS_ADMIN'],
    ['the kernel', { init: () => -ENOSYS }, 'ENOSYS'],
    ['the file system', { init: () => 99_999, markFd: () => -EOPNOTSUPP }, 'ext4'],
  ] as const) {
    it(`stops a start where ${what} lack it, and names the way out`, () => {
      const sys = mockSys({ fanotify });
      expect(() => checkGuard(sys, dir.path, 'auto'))
        .to.throw(CliError)
        .with.property('message')
        .that.includes(says)
        .and.includes('--dax-unguarded');
      checkGuard(sys, dir.path, 'off');
    });
  }

  it('lets a start where it can be had', () => {
    checkGuard(mockSys({ fanotify: { init: () => 99_999, markFd: () => 0 } }), dir.path, 'auto');
  });
});
