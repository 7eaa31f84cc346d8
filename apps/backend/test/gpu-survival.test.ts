import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { haltProcess, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { dice } from '../../../packages/virtio-device/test/dice.ts';
import { GpuSurvivor } from './fixtures/gpu-survivor.ts';
import { Program } from './fixtures/program.ts';

/** With each format of rings. */
const KILLS = 10;
/** Each so-many-th is killed as it runs, the others while they stand still with requests under way. */
const RUNNING = 3;
/** One that lived so long is started again at once. */
const STEADY_MS = 1000;
/** An answer is there before the last descriptor is closed; what the device told the launcher lies in a socket for a while. */
const CLOSING_MS = 10_000;

/** Memory for guests that a process has open. */
function guestMemory(pid: number): string[] {
  const dir = `/proc/${pid}/fd`;
  const links = readdirSync(dir).map((fd) => {
    try {
      return readlinkSync(join(dir, fd));
    } catch {
      // Closed since the directory was read.
      return '';
    }
  });
  return links.filter((link) => /memfd:oriel-(blob|pixels)/.test(link));
}

async function expectNoGuestMemory(pid: number, whose: string): Promise<void> {
  const patient = performance.now() + CLOSING_MS;
  while (guestMemory(pid).length > 0 && performance.now() < patient) await new Promise((later) => setImmediate(later));
  expect(guestMemory(pid), whose).to.deep.equal([]);
}

for (const packed of [false, true]) {
  describe(`oriel gpu, killed ${KILLS} times (${packed ? 'packed' : 'split'})`, function () {
    this.timeout(180_000);

    it('answers each request once, and every byte stays where it was', async () => {
      using dir = tempDir();
      const socketPath = join(dir.path, 'gpu.sock');
      const args = ['gpu', `--socket-path=${socketPath}`, '--host-visible=64M', '--restart=on-failure'];
      const more = ['--log-format=json', '--packed-rings', '--frontend=strict'];
      const program = new Program('../../src/main.ts', [...args, ...more], [], { XDG_RUNTIME_DIR: dir.path });
      const pids = (): number[] =>
        [...program.stderr.matchAll(/"pid":(\d+)[^\n]*listening/g)].map(([, pid]) => Number(pid));
      const roll = dice(packed ? 77 : 4242);
      try {
        await program.says('is ready');
        using guest = new GpuSurvivor(socketPath, packed, roll);
        for (let kill = 0; kill < KILLS; kill++) {
          const steady = performance.now() + STEADY_MS;
          const wanted = guest.answered + 50 + roll(200);
          while (guest.answered < wanted || guest.lives <= kill || performance.now() < steady) {
            guest.fill();
            guest.turn(1000);
            // What the program says is read between turns.
            if (pids().length <= kill) await new Promise((later) => setImmediate(later));
          }
          while (pids().length <= kill) await new Promise((heard) => program.child.stderr!.once('data', heard));
          const pid = pids()[kill]!;
          guest.fill();
          for (let turns = roll(3); turns > 0; turns--) guest.turn(0);
          if (kill % RUNNING > 0) {
            await haltProcess(pid);
            // What was answered is taken: what is out now, or is sent now, nobody answers in this life.
            guest.turn(0);
            guest.fill();
            expect(guest.busy, 'requests are under way').to.equal(true);
          }
          process.kill(pid, 'SIGKILL');
        }
        guest.finish();
        expect(guest.refusal).to.equal(null);
        expect(guest.refused, 'maps over mappings').to.equal(0);
        expect(guest.lives).to.equal(KILLS + 1);
        expect([...guest.window.keys()]).to.deep.equal([]);
        while (pids().length <= KILLS) await new Promise((heard) => program.child.stderr!.once('data', heard));
        await expectNoGuestMemory(pids()[KILLS]!, 'of the device');
        await expectNoGuestMemory(program.child.pid!, 'of the launcher');
        expect(program.stderr).to.not.match(/state .*lost|ends with this process/);
        expect(await program.stop('SIGTERM')).to.include({ code: 0 });
      } finally {
        program.child.kill('SIGTERM');
        await program.end();
      }
    });
  });
}
