import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EPOLLIN } from '@oriel/sys';
import { tempDir } from '@oriel/sys/testing';
import { layoutPackedRing, layoutSplitRing, PACKED_RING_START, PackedDriver, SplitDriver } from '@oriel/virtqueue';
import { expect } from 'chai';
import { ReconnectingFrontend } from '../src/index.ts';
import { GPA, Guest, SIZE } from './support/reconnecting-guest.ts';

const BUFFERS = 0x8000;

describe('ReconnectingFrontend and a back-end that is killed', function () {
  this.timeout(60_000);
  const program = join(import.meta.dirname, 'support', 'triple-backend.ts');

  for (const packed of [false, true]) {
    it(`answers each request once, ${packed ? 'packed' : 'split'} ring`, () => {
      using dir = tempDir();
      const socket = join(dir.path, 'vu.sock');
      const log = join(dir.path, 'log');
      writeFileSync(log, '');
      using guest = new Guest();
      const children: ChildProcess[] = [];
      const deaths = [
        ['5', 'before'],
        ['3', 'after'],
        ['6', 'before'],
        ['1', 'before'],
        ['0', 'from outside'],
        ['0', 'never'],
      ] as const;
      const launch = () => {
        const [requests, point] = deaths[children.length] ?? ['0', 'never'];
        const args = ['--conditions=@oriel/source', program, socket, log, requests, point, packed ? '32,34' : '32'];
        children.push(spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] }));
      };
      using frontend = new ReconnectingFrontend({
        ...guest.options(() => guest.sys.socket.connectUnix(socket)),
        down: launch,
      });
      try {
        launch();
        frontend.start();
        frontend.waitUntil(() => frontend.connection !== null);
        const parts = packed ? layoutPackedRing(SIZE) : layoutSplitRing(SIZE);
        const config = {
          memory: guest.ram.u8,
          memoryGpa: GPA,
          size: SIZE,
          desc: GPA + parts.desc,
          avail: GPA + parts.avail,
          used: GPA + parts.used,
          eventIdx: false,
          indirectTables: -1,
          maxIndirect: 1,
          kick: () => {
            guest.sys.loop.eventfdSignal(guest.kick.fd);
          },
        };
        const driver = packed ? new PackedDriver(config) : new SplitDriver(config);
        const base = () => (packed ? PACKED_RING_START : guest.view.getUint16(parts.used + 2, true));
        let running = false;
        frontend.startRing(guest.ring(parts, base), (error) => {
          running = error === null;
        });
        frontend.waitUntil(() => running);
        const total = 60;
        const answers: number[] = [];
        const values = new Map<number, { value: number; slot: number }>();
        const free = Array.from({ length: SIZE / 2 }, (_, slot) => slot);
        let sent = 0;
        const fill = () => {
          while (sent < total && free.length > 0) {
            const slot = free.pop()!;
            const at = BUFFERS + 32 * slot;
            guest.view.setBigUint64(at, BigInt(sent), true);
            const head = driver.add([
              { gpa: GPA + at, len: 8, writable: false },
              { gpa: GPA + at + 16, len: 8, writable: true },
            ]);
            values.set(head, { value: sent++, slot });
          }
          driver.publish();
        };
        fill();
        using _calls = guest.loop.watch(guest.call.fd, EPOLLIN, () => guest.sys.loop.eventfdDrain(guest.call.fd));
        frontend.waitUntil(() => {
          while (driver.takeUsed()) {
            const { value, slot } = values.get(driver.usedHead)!;
            values.delete(driver.usedHead);
            expect([driver.usedLen, guest.view.getBigUint64(BUFFERS + 32 * slot + 16, true)]).to.deep.equal([
              8,
              BigInt(3 * value),
            ]);
            answers.push(value);
            free.push(slot);
          }
          fill();
          if (answers.length > total / 2 && children.length === deaths.length - 1) {
            children.at(-1)!.kill('SIGKILL');
          }
          return answers.length === total;
        }, 30_000);
        expect(answers.toSorted((a, b) => a - b)).to.deep.equal(Array.from({ length: total }, (_, value) => value));
        expect(frontend.connections).to.equal(deaths.length);
        const runs = readFileSync(log, 'utf8').trim().split('\n');
        const seen = new Set<string>();
        for (const run of runs) {
          const [value, how] = run.split(' ') as [string, string];
          if (seen.has(value)) {
            expect(how).to.equal('again');
          }
          seen.add(value);
        }
        // One more where the kill from outside came between the work and its answer.
        const before = deaths.filter(([, point]) => point === 'before').length;
        expect(runs.length - total).to.be.within(before, before + 1);
      } finally {
        for (const child of children) {
          child.kill('SIGKILL');
        }
      }
    });
  }
});
