/**
 * Each request of a driver that can fail on a real file system, beside the host's own system call on a directory of the same
 * content: the same error number, and the one that Linux documents.
 */
import { tmpdir } from 'node:os';
import { FUSE_POLL } from '@oriel/fuse';
import type { RequestEncoder } from '@oriel/fuse/client';
import * as S from '@oriel/sys';
import { expect } from 'chai';
import { FILE_CASES } from './support/file-errors.ts';
import { checkLeaks } from './support/leaks.ts';
import { NAME_CASES } from './support/name-errors.ts';
import { PLACES, ROOT } from './support/share.ts';
import { file, Guest, Host, TEXT, text } from './support/two-sides.ts';

/** Opcodes that a driver of Linux 7.3 sends over virtio; INIT and DESTROY apart. */
const SENT = [
  1, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 22, 23, 24, 25, 27, 28, 29, 30, 31, 32, 33, 35, 39,
  43, 44, 45, 46, 47, 50, 51, 52, 53,
];

/** Limits that tmpfs lacks. */
const NO_LIMIT = /beyond the largest/;

for (const dir of PLACES) {
  describe(`error numbers in ${dir}`, () => {
    checkLeaks();
    before(function () {
      using host = new Host(dir);
      if (file.setxattr(host.at('file'), text('user.x'), TEXT, 4, 0) === -S.EOPNOTSUPP) {
        console.log(`      SKIPPED, ${dir} has no user attributes`);
        this.skip();
      }
    });

    for (const { name, error, guest, host } of [...NAME_CASES, ...FILE_CASES]) {
      it(`${name}: ${S.errnoName(error)}`, () => {
        using driven = new Guest(dir);
        using theirs = new Host(dir);
        const [request, data] = [guest(driven.request, driven)].flat() as [RequestEncoder, Uint8Array?];
        const told = driven.driver.call(request, data).error;
        const result = Number(host(theirs));
        const wanted = result >= 0 && NO_LIMIT.test(name) ? 0 : error;
        expect({ guest: told, host: result < 0 ? -result : 0 }).to.deep.equal({ guest: wanted, host: wanted });
      });
    }
  });
}

describe('what a driver of Linux 7.3 sends', () => {
  checkLeaks();

  it('is all served: ENOSYS is for POLL, which it takes for "always ready"', () => {
    using driven = new Guest(tmpdir());
    const { driver, request } = driven;
    for (const opcode of SENT) {
      for (const length of [0, 4, 8, 16, 24, 32, 40, 48, 56, 88, 100]) {
        const { error } = driver.call(request.raw(opcode, ROOT, new Uint8Array(length), 4096));
        expect(error, `opcode ${opcode} of ${length} bytes`).not.to.equal(S.ENOSYS);
      }
    }
    expect(driver.call(request.raw(FUSE_POLL, ROOT, new Uint8Array(24), 4096)).error).to.equal(S.ENOSYS);
  });
});
