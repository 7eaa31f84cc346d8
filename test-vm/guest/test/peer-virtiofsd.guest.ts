/** Our front-end, driver and FUSE client on virtiofsd (rust-vmm's back-end crates, package virtiofsd). */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ENOENT, openSys, SysError } from '@oriel/sys';
import { expect } from 'chai';
import { FuseClient, LoopbackVm } from '../../loopback/src/index.ts';
import { guestSuite, type HostProcess, startVirtiofsd } from '../index.ts';

const TAG = 'peer';
/** Config space: 36 bytes of tag, then the number of request queues. */
const TAG_BYTES = 36;
const FILES = 300;
const BIG = (3 << 20) + 1234;

describe('our front-end on virtiofsd', () => {
  const suite = guestSuite('peer-virtiofsd');
  let sharedDir: string;
  let socketPath: string;
  let peer: HostProcess;

  before(() => {
    process.stdout.write(`      peer: virtiofsd ${suite.environment.virtiofsd.version}\n`);
  });
  beforeEach(async () => {
    const dir = suite.folder('share');
    sharedDir = join(dir, 'share');
    socketPath = join(dir, 'fs.sock');
    mkdirSync(sharedDir);
    for (let n = 0; n < FILES; n++) writeFileSync(join(sharedDir, `file-${n}`), `content of ${n}`);
    peer = await startVirtiofsd(suite.environment, { socketPath, sharedDir, args: [`--tag=${TAG}`] });
  });
  afterEach(async () => {
    await peer?.stop();
  });

  function errnoOf(act: () => unknown): number {
    try {
      act();
    } catch (error) {
      if (error instanceof SysError) return error.errno;
      throw error;
    }
    return 0;
  }

  for (const eventIdx of [true, false]) {
    for (const indirect of [true, false]) {
      const words = `${eventIdx ? 'with' : 'without'} EVENT_IDX, ${indirect ? 'with' : 'without'} INDIRECT_DESC`;
      it(`mounts, lists, reads and writes, ${words}`, async () => {
        {
          using vm = LoopbackVm.connect({ sys: openSys(), socket: socketPath, ringFeatures: { eventIdx, indirect } });
          const config = Buffer.from(vm.config(0, TAG_BYTES + 4));
          expect(config.toString('latin1', 0, TAG.length + 1)).to.equal(`${TAG}\0`);
          expect(config.readUInt32LE(TAG_BYTES)).to.equal(vm.queues.length - 1);
          vm.start();
          const client = new FuseClient(vm);
          expect(client.mount('never').major).to.equal(7);

          const names = client.list().map(({ name }) => name);
          expect(names.filter((name) => /^file-/.test(name)).sort()).to.deep.equal(
            Array.from({ length: FILES }, (_, n) => `file-${n}`).sort(),
          );
          const file = client.open('file-7');
          expect(file.size).to.equal('content of 7'.length);
          expect(Buffer.from(client.read(file, 0, 100)).toString()).to.equal('content of 7');
          client.close(file);
          expect(errnoOf(() => client.lookup('nothing'))).to.equal(ENOENT);

          const bytes = randomBytes(BIG);
          const big = client.create('big');
          client.write(big, 0, bytes);
          client.fsync(big);
          expect(readFileSync(join(sharedDir, 'big')).equals(bytes)).to.equal(true);
          expect(Buffer.from(client.read(big, 4095, BIG)).equals(bytes.subarray(4095))).to.equal(true);
          client.close(big);
          client.unlink('big');
          expect(statSync(join(sharedDir, 'big'), { throwIfNoEntry: false })).to.equal(undefined);
          // No DESTROY: virtiofsd leaves the reply's header out, which Linux does not look at.
        }
        expect(await peer.waitExit()).to.deep.equal({ code: 0, signal: null });
      });
    }
  }

  it('has many requests at once, answered in any order, and goes on after a pause', () => {
    using vm = LoopbackVm.connect({ sys: openSys(), socket: socketPath });
    vm.start();
    const client = new FuseClient(vm);
    client.mount('never');
    const nodes = Array.from({ length: 40 }, (_, n) => client.lookup(`file-${n}`));
    for (let round = 0; round < 2; round++) {
      const asked = nodes.map(({ nodeid }) => client.sendGetattr(nodeid));
      const sizes = asked.reverse().map((pending) => client.finishAttributes(pending).size);
      expect(sizes).to.deep.equal(nodes.map(({ size }) => size).reverse());
      vm.pause();
      vm.resume();
    }
  });
});
