/** A device under QEMU's test device, which cannot reconnect: its back-end is replaced, and neither QEMU nor the guest notices. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { askControl } from '../../../apps/backend/src/control/client.ts';
import { bootGuest, buildInitramfs, type Guest, guestSuite, HostProcess, vhostUserTestDevice } from '../index.ts';

const FIXTURES = fileURLToPath(new URL('../../../apps/backend/test/fixtures/', import.meta.url));
const HANDOVERS = 5;
/** VIRTIO 1.3, 5.4. */
const VIRTIO_ID_RNG = 4;

describe('a hand-over under QEMU', () => {
  const suite = guestSuite('handover');
  let control: string;
  let guest: Guest;
  let launcher: HostProcess;

  before(async () => {
    const dir = suite.folder('rng');
    const socketPath = join(dir, 'rng.sock');
    control = join(dir, 'control');
    const node = [process.execPath, '--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
    const program = [...node, join(FIXTURES, 'run-rng.ts'), JSON.stringify({ socketPath, controlSocket: control })];
    launcher = HostProcess.start([...node, join(FIXTURES, 'launch.ts'), ...program], { name: 'rng' });
    await launcher.waitOutput(/listening/);
    const { environment } = suite;
    guest = await bootGuest({
      environment,
      initramfs: await buildInitramfs(environment, { modules: ['virtio-rng'] }),
      qemuArgs: vhostUserTestDevice({
        socketPath,
        virtioId: VIRTIO_ID_RNG,
        queueCount: 1,
        queueSize: 64,
        configSize: 0,
      }),
    });
  });
  after(async () => {
    await guest?.close();
    await launcher?.stop();
  });

  it(`goes on ${HANDOVERS} times while the guest reads`, async () => {
    expect(await guest.ok('cat /sys/class/misc/hw_random/rng_current')).to.match(/^virtio_rng/);
    await guest.ok(
      '(until [ -e /tmp/stop ]; do head -c 2048 /dev/hwrng | wc -c >>/tmp/read; done; echo >/tmp/done) </dev/null >/dev/null 2>&1 &',
    );
    for (let count = 1; count <= HANDOVERS; count++) {
      expect(await askControl(control, { command: 'handover' })).to.deep.equal([]);
      await launcher.waitOutput(new RegExp(`(started: rng[^]*){${count + 1}}`));
      const [one, two] = [await guest.ok('head -c 4096 /dev/hwrng | sha256sum'), await guest.ok('wc -l </tmp/read')];
      expect(one).to.match(/^[0-9a-f]{64} /);
      expect(Number(two)).to.be.greaterThan(0);
    }
    await guest.ok('touch /tmp/stop; until [ -e /tmp/done ]; do sleep 0.1; done');
    expect(await guest.ok('sort -u /tmp/read')).to.equal('2048');
    expect(launcher.stderr).to.not.match(/disconnected/);
    expect(launcher.stderr.match(/starts again/g)).to.have.length(HANDOVERS);
  });
});
