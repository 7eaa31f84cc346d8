/** Every file check, through stock QEMU, in each mode of the window and of the mount. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type DaxShare, FILE_CHECKS, guestSuite, openDaxShare } from '../index.ts';

const PAGE = 4096;

/** In `refuse` with dax=always the guest does not ask, and QEMU cannot map a last partial page: such reads are refused. */
const NEEDS_PARTIAL_PAGE =
  /reads (1|4095|4097|2097151|2097153) bytes of the host|stores through a shared mapping|truncates a mapped file/;

for (const tail of ['refuse', 'grow', 'copy'] as const) {
  describe(`the DAX window under stock QEMU, --dax-tail=${tail}`, () => {
    const suite = guestSuite(`dax-${tail}`);
    let share: DaxShare;

    before(async () => {
      // A small smallest size, so that the small files of the checks get DAX too.
      const args = [`--dax-tail=${tail}`, '--dax-min-size=1'];
      share = await openDaxShare({ environment: suite.environment, dir: suite.folder(tail), args });
    });
    after(() => share?.[Symbol.asyncDispose]());

    for (const mount of ['', '-o dax=always']) {
      describe(mount === '' ? 'mounted with default options' : `mounted with ${mount}`, () => {
        before(() => share.guest.ok(`mount -t virtiofs ${mount} share /mnt`));
        after(() => share.guest.ok('umount /mnt'));

        it('gives a large file DAX', async () => {
          writeFileSync(join(share.hostDir, 'large'), randomBytes(4 << 20));
          expect(await share.guest.ok('statx /mnt/large')).to.match(/dax=1/);
          await share.guest.ok('mapcheck /mnt/large');
        });

        for (const check of FILE_CHECKS) {
          const refused = tail === 'refuse' && mount !== '' && NEEDS_PARTIAL_PAGE.test(check.name);
          if (!refused) {
            it(check.name, () => check.run({ guest: share.guest, mountpoint: '/mnt', hostDir: share.hostDir }));
          }
        }

        if (tail === 'refuse' && mount !== '') {
          for (const size of [1, PAGE - 1, PAGE + 1, (2 << 20) - 1, (2 << 20) + 1]) {
            it(`refuses a file of ${size} bytes with a clear error`, async () => {
              writeFileSync(join(share.hostDir, 'partial'), randomBytes(size));
              const { code, output } = await share.guest.run('cat /mnt/partial >/dev/null');
              expect(code).to.not.equal(0);
              expect(output).to.match(/not supported/i);
              await share.backend.waitOutput(/see --dax-tail/);
            });
          }
        }
      });
    }
  });
}
