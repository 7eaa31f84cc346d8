/** Locks by fcntl(2) and flock(2) between two guests, each with a back-end of its own, and the host. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check, EAGAIN, F_OFD_SETLK, Fd, FileLock, LOCK_EX, LOCK_NB, LOCK_UN, O_RDWR, openSys } from '@oriel/sys';
import { expect } from 'chai';
import {
  bootGuest,
  type Guest,
  guestSuite,
  type HostProcess,
  orielDevice,
  ServedProbe,
  startOrielFs,
} from '../index.ts';

const AT_FDCWD = -100;
const F_WRLCK = 1;
const F_UNLCK = 2;

describe('locks of two guests and the host', () => {
  const suite = guestSuite('fs-locks');
  const backends: HostProcess[] = [];
  const guests: Guest[] = [];
  let sharedDir: string;
  let one: ServedProbe;
  let two: ServedProbe;

  before(async function () {
    this.timeout(180_000);
    const dir = suite.folder('locks');
    sharedDir = join(dir, 'share');
    mkdirSync(sharedDir);
    writeFileSync(join(sharedDir, 'file'), 'locked');
    for (const name of ['one', 'two']) {
      const socketPath = join(dir, `${name}.sock`);
      const args = ['--posix-lock', '--flock'];
      backends.push(await startOrielFs({ socketPath, sharedDir, window: '0', args, stateDir: suite.folder(name) }));
      const guest = await bootGuest({
        environment: suite.environment,
        memoryMiB: 384,
        smp: 1,
        qemuArgs: orielDevice(socketPath),
      });
      guests.push(guest);
      await guest.ok('mount -t virtiofs share /mnt');
    }
    one = await ServedProbe.start(guests[0]!, 'locks', ['/mnt/file']);
    two = await ServedProbe.start(guests[1]!, 'locks', ['/mnt/file']);
  });
  after(async () => {
    for (const guest of guests) await guest.close();
    for (const backend of backends) await backend.stop();
  });

  const ask = async (probe: ServedProbe, command: string): Promise<string | undefined> => (await probe.ask(command))[0];

  /** A descriptor of the host. */
  const open = (): Fd => {
    const { file, fd } = openSys();
    return new Fd(fd, check(file.openat(AT_FDCWD, Buffer.from(`${sharedDir}/file\0`), O_RDWR, 0), 'openat'));
  };
  const lock = (fd: Fd, type: number, start: number, len: number): number => {
    const range = Buffer.alloc(FileLock.byteLength);
    const view = new DataView(range.buffer, range.byteOffset);
    FileLock.type.set(view, 0, type);
    FileLock.start.set(view, 0, start);
    FileLock.len.set(view, 0, len);
    return openSys().file.fcntlLock(fd.fd, F_OFD_SETLK, range);
  };

  it('fcntl: ranges of one guest keep the other out, and tell it what is in its way', async () => {
    expect(await ask(one, 'set w 0 100')).to.equal('got');
    expect(await ask(two, 'set w 99 1')).to.equal('EAGAIN');
    expect(await ask(two, 'set r 0 1')).to.equal('EAGAIN');
    expect(await ask(two, 'test r 0 0')).to.equal('w 0 100');
    expect(await ask(two, 'set w 100 0')).to.equal('got');
    expect(await ask(one, 'set r 100 1')).to.equal('EAGAIN');
    expect(await ask(one, 'set u 50 50')).to.equal('got');
    expect(await ask(two, 'set w 50 50')).to.equal('got');
    await two.ask('close');
    expect(await ask(one, 'set w 0 0'), 'a close gave up all locks of its process').to.equal('got');
    expect(await ask(one, 'set u 0 0')).to.equal('got');
  });

  it('fcntl: shared by many, waited for by a writer', async () => {
    expect(await ask(one, 'set r 0 10')).to.equal('got');
    expect(await ask(two, 'set r 5 10')).to.equal('got');
    expect(await ask(two, 'set u 0 0')).to.equal('got');
    await two.ask('wait w 0 10');
    expect(await ask(one, 'set u 0 0')).to.equal('got');
    expect(await ask(two, 'waited')).to.equal('got');
  });

  it('flock: of an open file, exclusive or shared, and waited for', async () => {
    expect(await ask(one, 'flock w')).to.equal('got');
    expect(await ask(two, 'flock r')).to.equal('EAGAIN');
    expect(await ask(two, 'set w 0 0'), 'fcntl is another matter').to.equal('got');
    expect(await ask(two, 'set u 0 0')).to.equal('got');
    expect(await ask(one, 'flock r')).to.equal('got');
    expect(await ask(two, 'flock r')).to.equal('got');
    expect(await ask(two, 'flock u')).to.equal('got');
    await two.ask('wait-flock w');
    expect(await ask(one, 'flock u')).to.equal('got');
    expect(await ask(two, 'waited')).to.equal('got');
  });

  it('the host keeps guests out, and they keep it out', async () => {
    using host = open();
    const { file } = openSys();
    expect(lock(host, F_WRLCK, 10, 10)).to.equal(0);
    expect(await ask(one, 'set r 19 1')).to.equal('EAGAIN');
    expect(await ask(two, 'set w 20 1')).to.equal('got');
    expect(lock(host, F_WRLCK, 20, 1)).to.equal(-EAGAIN);
    expect(lock(host, F_UNLCK, 0, 0)).to.equal(0);
    expect(await ask(one, 'set r 19 1')).to.equal('got');
    expect(await ask(one, 'flock w')).to.equal('got');
    expect(file.flock(host.fd, LOCK_EX | LOCK_NB)).to.equal(-EAGAIN);
    expect(await ask(one, 'flock u')).to.equal('got');
    expect(file.flock(host.fd, LOCK_EX | LOCK_NB)).to.equal(0);
    expect(await ask(two, 'flock r')).to.equal('EAGAIN');
    expect(file.flock(host.fd, LOCK_UN)).to.equal(0);
  });

  it('end with the guest that had them', async () => {
    expect(await ask(two, 'set u 0 0')).to.equal('got');
    expect(await ask(one, 'set w 0 0')).to.equal('got');
    expect(await ask(one, 'flock w')).to.equal('got');
    await two.ask('wait w 0 0');
    await guests[0]!.kill();
    expect(await ask(two, 'waited')).to.equal('got');
    expect(await ask(two, 'flock w')).to.equal('got');
  });
});
