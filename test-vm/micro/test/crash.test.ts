import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { BlockingLoop, check, Fd, MFD_CLOEXEC, openSys } from '@oriel/sys';
import { leakCheck, type TempDir, tempDir } from '@oriel/sys/testing';
import { profileFor } from '@oriel/vhost-user';
import { expect } from 'chai';
import { BackSide } from '../src/sides/back-side.ts';
import { FrontSide } from '../src/sides/front-side.ts';

const CHILD = new URL('../src/crash/child.ts', import.meta.url).pathname;
const PAGES = 16;
const MAPPED_BY_CHILD = 3;
const WAIT_MS = 20_000;

const sys = openSys();
const { pageSize } = sys.mem;
const common = { sys, profile: profileFor('strict', pageSize), size: PAGES * pageSize };

/** A socket on which a child of ours connects. */
class Meeting implements Disposable {
  readonly loop = new BlockingLoop(sys);
  readonly #dir: TempDir = tempDir();
  readonly #listener: Fd;
  #child: ChildProcess | null = null;

  constructor() {
    const path = join(this.#dir.path, 'socket');
    this.#listener = new Fd(sys.fd, check(sys.socket.listenUnix(path, 0o600, -1, 1), 'listen'));
  }

  /** @returns the connection with the child */
  start(side: 'back-end' | 'front-end'): Fd {
    const node = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
    const path = join(this.#dir.path, 'socket');
    this.#child = spawn(process.execPath, [...node, CHILD, side, path], { stdio: ['ignore', 'ignore', 'inherit'] });
    let accepted = -1;
    const watch = this.loop.watch(this.#listener.fd, 1, () => {
      accepted = sys.socket.accept(this.#listener.fd);
    });
    this.until(() => accepted >= 0);
    watch[Symbol.dispose]();
    return new Fd(sys.fd, accepted);
  }

  kill(): void {
    this.#child!.kill('SIGKILL');
  }

  until(condition: () => boolean): void {
    const end = sys.loop.nowNs() + WAIT_MS * 1e6;
    while (!condition()) {
      this.loop.runOnce(100);
      if (sys.loop.nowNs() > end) {
        throw new Error('the child did not do its part');
      }
    }
  }

  [Symbol.dispose](): void {
    this.kill();
    this.#listener.close();
    this.loop[Symbol.dispose]();
    this.#dir[Symbol.dispose]();
  }
}

describe('the other side is killed', function () {
  this.timeout(30_000);

  it('the back-end: its mappings leave the window with it, and the next one finds it empty', () => {
    using meeting = new Meeting();
    using _leaks = leakCheck();
    using front = new FrontSide({ ...common, loop: meeting.loop, unmapped: 'zero-ro' });
    for (let round = 0; round < 2; round += 1) {
      front.connect(meeting.start('back-end'));
      meeting.until(() => front.window.entries().length === MAPPED_BY_CHILD);
      meeting.kill();
      meeting.until(() => front.window.entries().length === 0);
      expect(front.window.read(0, new Uint8Array(1))).to.equal(1);
      front.disconnect();
    }
  });

  it('the front-end: the ledger is empty, every caller is told, and the next one starts anew', () => {
    using meeting = new Meeting();
    using _leaks = leakCheck();
    using file = new Fd(sys.fd, check(sys.mem.memfdCreate('crash', MFD_CLOEXEC), 'memfd_create'));
    check(sys.file.ftruncate(file.fd, pageSize), 'ftruncate');
    let running = false;
    using back = new BackSide({ ...common, loop: meeting.loop, onResumed: () => (running = true) });
    for (let round = 0; round < 2; round += 1) {
      running = false;
      back.connect(meeting.start('front-end'));
      meeting.until(() => running);
      const told: number[] = [];
      const map = (page: number) => {
        const place = { fd: file.fd, fdOffset: 0, shmOffset: page * pageSize, len: pageSize, writable: false };
        back.region.map({ ...place, owner: file, label: '' }, (error) => told.push(error));
      };
      map(0);
      map(2);
      meeting.until(() => told.length === 2);
      expect(told).to.deep.equal([0, 0]);
      meeting.kill();
      // Whether these still reach a living process is a matter of luck: told they are, once each.
      map(4);
      map(6);
      meeting.until(() => back.connection.closed);
      expect(told).to.have.length(4);
      expect(back.region.entries()).to.deep.equal([]);
      expect(back.region.stats.mapped).to.equal(0);
    }
  });
});
