import { join } from 'node:path';
import { check, EMFILE, Fd, silentLogger } from '@oriel/sys';
import { leakCheck, type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { launcherTerms, openNotifyStore } from '../src/index.ts';
import { sys } from './machine.ts';
import { memfd } from './memfd.ts';

/** A launcher that reads when it is told to. */
class Listener implements Disposable {
  readonly path: string;
  readonly #dir: TempDir = tempDir();
  readonly #socket: Fd;
  readonly #bytes = new Uint8Array(256);
  readonly #result = sys.socket.makeRecvResult(4);

  constructor() {
    this.path = join(this.#dir.path, 'notify');
    this.#socket = new Fd(sys.fd, check(sys.socket.bindDatagram(this.path, 0o600), 'bind'));
  }

  /** All that lies there: the text of each message, and how many descriptors came with it. */
  hear(): readonly string[] {
    const heard: string[] = [];
    for (;;) {
      const len = sys.socket.recvmsg(this.#socket.fd, this.#bytes, this.#bytes.length, this.#result);
      if (len < 0) return heard;
      for (const fd of this.#result.fds.subarray(0, this.#result.fdCount)) sys.fd.close(fd);
      heard.push(`${new TextDecoder().decode(this.#bytes.subarray(0, len))} +${this.#result.fdCount}`);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.close();
    this.#dir[Symbol.dispose]();
  }
}

describe('what a launcher says', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('is taken out of the environment, and counts only for this process', () => {
    const env: NodeJS.ProcessEnv = {
      NOTIFY_SOCKET: '@x',
      LISTEN_FDS: '2',
      LISTEN_FDNAMES: 'a.state',
      LISTEN_PID: '7',
      HOME: '/',
    };
    expect(launcherTerms({ ...env }, 8).received).to.deep.equal([]);
    expect(launcherTerms(env, 7)).to.deep.equal({
      notifySocket: '@x',
      received: [
        { name: 'a.state', fd: 3 },
        { name: 'unknown', fd: 4 },
      ],
    });
    expect(env).to.deep.equal({ HOME: '/' });
    expect(launcherTerms({ LISTEN_FDS: '-1', LISTEN_PID: '7' }, 7)).to.deep.equal({
      notifySocket: undefined,
      received: [],
    });
  });

  it('waits once for a launcher that hears nothing, and says so now and then', () => {
    using launcher = new Listener();
    const said: string[] = [];
    const log = { ...silentLogger, warn: (text: string) => said.push(text) };
    using store = openNotifyStore({ notifySocket: launcher.path, received: [] }, { sys, log })!;
    using fd = memfd();
    let held = 0;
    while (store.put(`${held}`, fd.fd)) held++;
    const begun = performance.now();
    for (let more = 0; more < 100; more++) expect(store.put(`more${more}`, fd.fd)).to.equal(false);
    expect(performance.now() - begun, 'ms').to.be.below(900);
    expect(said.length).to.be.within(1, 8);
    expect(store.names.length).to.equal(held);
    // It hears again: so does whoever asks.
    launcher.hear();
    expect(store.put('again', fd.fd)).to.equal(true);
  });

  it('says again what it let go of while the launcher heard nothing', () => {
    using launcher = new Listener();
    using store = openNotifyStore({ notifySocket: launcher.path, received: [] }, { sys })!;
    using fd = memfd();
    expect(store.put('a', fd.fd)).to.equal(true);
    expect(store.put('b', fd.fd)).to.equal(true);
    while (store.tell('STATUS=busy'));
    store.remove('a');
    store.remove('b');
    expect(store.names).to.deep.equal([]);
    const before = launcher.hear();
    expect(before.filter((said) => said.startsWith('FDSTOREREMOVE'))).to.deep.equal([]);
    expect(store.put('a', fd.fd)).to.equal(true);
    expect(launcher.hear()).to.deep.equal([
      'FDSTOREREMOVE=1\nFDNAME=a +0',
      'FDSTOREREMOVE=1\nFDNAME=b +0',
      'FDSTORE=1\nFDNAME=a\nFDPOLL=0 +1',
    ]);
    expect(store.tell('READY=1')).to.equal(true);
    expect(launcher.hear(), 'once').to.deep.equal(['READY=1 +0']);
  });

  it('leaves nothing at the launcher that this process could not hold', () => {
    using launcher = new Listener();
    const full = { ...sys, fd: { ...sys.fd, dup: () => -EMFILE } };
    using store = openNotifyStore({ notifySocket: launcher.path, received: [] }, { sys: full })!;
    using fd = memfd();
    expect(store.put('a', fd.fd)).to.equal(false);
    expect(launcher.hear()).to.deep.equal(['FDSTORE=1\nFDNAME=a\nFDPOLL=0 +1', 'FDSTOREREMOVE=1\nFDNAME=a +0']);
  });

  it('is answered in the words of systemd', () => {
    using launcher = new Listener();
    using store = openNotifyStore({ notifySocket: launcher.path, received: [] }, { sys })!;
    using fd = memfd();
    expect(store.put('dev.kept.a', fd.fd)).to.equal(true);
    const stored = 'FDSTORE=1\nFDNAME=dev.kept.a\nFDPOLL=0 +1';
    expect(launcher.hear()).to.deep.equal([stored]);
    store.put('dev.kept.a', fd.fd);
    expect(launcher.hear()).to.deep.equal(['FDSTOREREMOVE=1\nFDNAME=dev.kept.a +0', stored]);
    expect(store.names).to.deep.equal(['dev.kept.a']);
    store.take('dev.kept.a')!.close();
    expect(openNotifyStore({ notifySocket: undefined, received: [] }, { sys })).to.equal(null);
    expect(() => openNotifyStore({ notifySocket: `${launcher.path}-not`, received: [] }, { sys })).to.throw('ENOENT');
  });
});
