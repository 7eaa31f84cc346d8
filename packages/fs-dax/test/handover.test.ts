/** A device that is handed over to another process while a request waits that cannot go back into its ring. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassthroughFilesystem } from '@oriel/fs-passthrough';
import { FUSE_SETLK, FUSE_SETLKW } from '@oriel/fuse';
import { ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import { BlockingLoop, F_WRLCK, O_RDWR } from '@oriel/sys';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { profileFor } from '@oriel/vhost-user';
import { LocalStore, serve } from '@oriel/virtio-device';
import { ConnectedMachine } from '@oriel/virtio-device/testing';
import { expect } from 'chai';
import { FsDevice } from '../src/index.ts';
import { sys } from './support/rig.ts';

const [ALICE, BOB] = [1, 2];
const limits = { maxInodes: 1000, maxHandles: 100, maxDirStreams: 10 };

describe('a hand-over', () => {
  it('leaves a request to the next process that waits behind one that was answered', async () => {
    const leaks = leakCheck();
    {
      using dir = tempDir();
      using store = new LocalStore(sys.fd);
      using loop = new BlockingLoop(sys);
      const sharedDir = join(dir.path, 'share');
      mkdirSync(sharedDir);
      writeFileSync(join(sharedDir, 'file'), 'content');
      const begin = () => {
        const timer = (delayMs: number, call: () => void): Disposable => loop.timer(delayMs, call);
        const fs = new PassthroughFilesystem({ sys, sharedDir, limits, posixLocks: true, timer });
        const device = new FsDevice({ sys, fs, tag: 'share', survive: true });
        const socketPath = join(dir.path, 's');
        const server = serve(device, {
          sys,
          loop,
          profile: profileFor('strict', 4096),
          socketPath,
          survive: { store },
        });
        return {
          server,
          end: () => {
            server[Symbol.dispose]();
            device[Symbol.dispose]();
            fs[Symbol.dispose]();
          },
        };
      };
      const old = begin();
      using machine = new ConnectedMachine({ sys, socketPath: join(dir.path, 's'), loop });
      const driver = machine.start(1);
      const request = new RequestEncoder();
      const ask = (asked: RequestEncoder): ReplyDecoder => {
        const { written, bytes } = machine.ask(driver, [asked.bytes.slice(0, asked.len)], [asked.room]);
        return new ReplyDecoder().take(asked, bytes, written);
      };
      expect(ask(request.init()).error).to.equal(0);
      const { nodeid } = ask(request.lookup(1, 'file')).readEntry();
      const { fh } = ask(request.open(nodeid, O_RDWR));
      expect(ask(request.lock(FUSE_SETLK, nodeid, fh, ALICE, F_WRLCK, [0])).error).to.equal(0);
      const { bytes, len, room, opcode, uniqueLo, uniqueHi } = request.lock(FUSE_SETLKW, nodeid, fh, BOB, F_WRLCK, [0]);
      const waiting = driver.send([bytes.slice(0, len)], [room]);
      expect(ask(request.statfs(1)).error).to.equal(0);

      expect(old.server.handOver()).to.equal(true);
      old.end();
      expect(driver.take()).to.equal(null);
      const next = begin();
      // The lock that it waited for ended with its process.
      const reply = machine.answer(driver);
      expect(reply.head).to.equal(waiting);
      const asked = { opcode, uniqueLo, uniqueHi, room };
      expect(new ReplyDecoder().take(asked, reply.bytes, reply.written).error).to.equal(0);
      expect(ask(request.getattr(nodeid)).error).to.equal(0);
      next.end();
    }
    await leaks.settled();
  });
});
