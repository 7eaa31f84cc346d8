/** The real program, and a mount in its share that does not answer. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FUSE_LOOKUP } from '@oriel/fuse';
import { RequestEncoder } from '@oriel/fuse/client';
import { ENOENT, O_RDONLY, openSys } from '@oriel/sys';
import { expect } from 'chai';
import { Program } from '../../../apps/backend/test/fixtures/program.ts';
import { FuseMount } from '../../../packages/fs-passthrough/test/support/fuse-mount.ts';
import { FuseClient, LoopbackVm } from '../src/index.ts';

const ROUNDS = 5;
const REQUEST_QUEUES = 3;
const PAGE = 4096;
/** The main channel answers within so many milliseconds. */
const MAIN_CHANNEL_MS = 100;

describe('a mount in the share that does not answer', function () {
  this.timeout(90_000);

  for (const sandbox of ['namespace', 'none']) {
    it(`holds up neither the other requests nor the main channel, and loses nothing (--sandbox=${sandbox})`, async function () {
      const dir = mkdtempSync(join(tmpdir(), 'oriel-hung-'));
      const share = join(dir, 'share');
      const mount = await FuseMount.at(join(share, 'mount'));
      if (mount === undefined) {
        console.log('      SKIPPED, mounting is not allowed here');
        this.skip();
      }
      writeFileSync(join(share, 'local'), 'local');
      for (let round = 0; round < ROUNDS; round++) {
        writeFileSync(join(mount.path, `file${round}`), Buffer.alloc(PAGE, `remote${round}`));
      }
      const socket = join(dir, 'fs.sock');
      const program = new Program('../../src/main.ts', [
        'fs',
        '--tag=share',
        `--sandbox=${sandbox}`,
        '--window=2M',
        `--num-request-queues=${REQUEST_QUEUES}`,
        // The host cannot guard files of FUSE.
        '--dax-unguarded',
        `--shared-dir=${share}`,
        `--socket-path=${socket}`,
      ]);
      try {
        await program.says('listening');
        using vm = LoopbackVm.connect({ sys: openSys(), socket, timeoutMs: 30_000 });
        vm.start();
        const client = new FuseClient(vm);
        client.mount('always');
        const root = client.lookup('mount');
        const files = Array.from({ length: ROUNDS }, (_, round) => client.lookup(`file${round}`, root.nodeid));
        const encoder = new RequestEncoder();
        const took: number[] = [];
        for (const [round, { nodeid }] of files.entries()) {
          await mount.hang(FUSE_LOOKUP);
          // Names of their own: the host's kernel asks the mount once for one that is asked for already.
          const waiting = Array.from({ length: REQUEST_QUEUES }, (_, at) =>
            client.send(
              'LOOKUP',
              encoder.lookup(root.nodeid, Buffer.from(`none${round}.${at}`)),
              [],
              undefined,
              1 + at,
            ),
          );
          for (const _ of waiting) await mount.holds();
          await mount.hang();
          const mapping = client.sendSetupMapping(nodeid, 0, 0, PAGE, true);
          await mount.holds();

          const opened = client.open('local', O_RDONLY);
          expect(Buffer.from(client.read(opened, 0, 100)).toString()).to.equal('local');
          client.close(opened);

          const from = performance.now();
          vm.pause();
          took.push(performance.now() - from);
          // They were given back, and are asked again.
          vm.resume();
          vm.pause();
          vm.resume();

          await mount.go();
          for (const pending of waiting) {
            expect(() => client.finish(pending))
              .to.throw()
              .with.property('errno', ENOENT);
          }
          client.finish(mapping);
          const seen = new Uint8Array(7);
          vm.window.read(0, seen);
          expect(Buffer.from(seen).toString()).to.equal(`remote${round}`);
        }
        // The machine may be busy with something else at some of them.
        expect(Math.min(...took), String(took)).to.be.lessThan(MAIN_CHANNEL_MS);
        vm.unload();
        expect(await program.stop('SIGTERM')).to.include({ code: 0 });
      } finally {
        await mount[Symbol.asyncDispose]();
        program.child.kill('SIGTERM');
        await program.end();
        rmSync(dir, { recursive: true, force: true });
      }
    });
  }
});
