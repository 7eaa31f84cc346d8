/** Every file check, through stock QEMU, in each mode of the window and of the mount. */
import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
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

        it('is right after each step of a file that grows on the host while mapped', async () => {
          const path = join(share.hostDir, 'host-grows');
          writeFileSync(path, Buffer.alloc(1 << 20, 'a'));
          await share.guest.ok('mapcheck /mnt/host-grows');
          // Where nothing may be grown for a mapping, whole pages that are added once can be mapped, and no more.
          const steps = tail === 'refuse' ? [64 * 1024] : [64 * 1024, 4096, 1000, 3_000_000];
          for (const step of steps) {
            appendFileSync(path, randomBytes(step));
            const sum = createHash('sha256').update(readFileSync(path)).digest('hex');
            // It makes the guest ask for the size, as its own is valid for a second.
            await share.guest.ok('statx /mnt/host-grows');
            expect(await share.guest.ok('sha256sum </mnt/host-grows')).to.equal(`${sum}  -`);
          }
          if (tail !== 'refuse') return;
          appendFileSync(path, 'x');
          expect((await share.guest.run('statx /mnt/host-grows')).output).to.match(/not supported/i);
          await share.backend.waitOutput(/see --dax-tail/);
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
              writeFileSync(join(share.hostDir, `partial-${size}`), randomBytes(size));
              const { code, output } = await share.guest.run(`cat /mnt/partial-${size} >/dev/null`);
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
