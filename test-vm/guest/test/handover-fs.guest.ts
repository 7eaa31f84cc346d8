/** A share with live DAX mappings under stock QEMU: its back-end is replaced while the guest works, and nothing is lost. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { askControl } from '../../../apps/backend/src/control/client.ts';
import { type DaxShare, guestSuite, openDaxShare } from '../index.ts';

const HANDOVERS = 5;
const MIB = 1 << 20;

describe('a hand-over of a share under QEMU', () => {
  const suite = guestSuite('handover');
  let share: DaxShare;
  let control: string;

  before(async () => {
    const dir = suite.folder('fs');
    control = join(dir, 'control');
    // The log would be read for errors; that a file may be truncated is not what is tried here.
    const args = ['--restart=on-failure', `--control-socket=${control}`, '--dax-unguarded', '--xattr'];
    share = await openDaxShare({ environment: suite.environment, dir, args });
    for (const name of ['one', 'two']) writeFileSync(join(share.hostDir, name), randomBytes(6 * MIB));
  });
  after(() => share?.[Symbol.asyncDispose]());

  it(`goes on ${HANDOVERS} times while the guest reads, writes, maps and keeps files open`, async () => {
    const { guest, backend, hostDir } = share;
    await guest.ok('mount -t virtiofs -o dax=always share /mnt && mapcheck /mnt/one');
    // A shell that holds a file without a name, and a directory that it stands in.
    await guest.ok('mkdir /mnt/dir && cp /mnt/two /mnt/dir/gone');
    await guest.ok(
      '(cd /mnt/dir && exec 5</mnt/dir/gone && rm /mnt/dir/gone && ' +
        'until [ -e /tmp/stop ]; do echo x >>log; wc -c <log; dd if=/mnt/one bs=64k 2>/dev/null | sha256sum; done >/tmp/seen; ' +
        'sha256sum <&5 >/tmp/gone; echo >/tmp/done) </dev/null >/dev/null 2>&1 &',
    );
    for (let count = 1; count <= HANDOVERS; count++) {
      expect(await askControl(control, { command: 'handover' })).to.deep.equal([]);
      await backend.waitOutput(new RegExp(`(started: fs[^]*){${count + 1}}`));
      await guest.ok(`mapcheck /mnt/one && mapstore /mnt/two ${count} z && mkdir /mnt/d${count} && mapcheck /mnt/two`);
    }
    await guest.ok('touch /tmp/stop; until [ -e /tmp/done ]; do sleep 0.1; done');
    const sums = await guest.ok('grep -- - /tmp/seen | sort -u | wc -l');
    expect(sums, 'the same bytes each time').to.equal('1');
    const lines = Number(await guest.ok('wc -l </mnt/dir/log'));
    expect(readFileSync(join(hostDir, 'dir/log'), 'utf8')).to.equal('x\n'.repeat(lines));
    expect((await guest.ok('cut -c1-64 /tmp/gone')).length, 'a file that lost its name').to.equal(64);
    expect(await guest.ok('umount /mnt && echo gone')).to.equal('gone');
    expect(backend.stderr).to.not.match(/disconnected|"level":"error"/);
    expect(guest.alive).to.equal(true);
    expect(await guest.poweroff()).to.deep.equal({ code: 0, signal: null });
  });
});
