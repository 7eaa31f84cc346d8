import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BlockingLoop, check, EPOLLET, EPOLLIN, Fd, openSys } from '@oriel/sys';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { MockFrontend } from '@oriel/vhost-user/testing';
import { MockDriver } from '@oriel/virtio-device/testing';
import { expect } from 'chai';
import { Program } from './fixtures/program.ts';

const MAIN = '../../src/main.ts';
const sys = openSys();
const IN_HEADER = 40;
const OUT_HEADER = 16;
const INIT_IN = 64;
const INIT_OUT = 64;
const FUSE_INIT = 26;
const QUEUE_BYTES = 0x1_0000;

/** `struct fuse_in_header` and `struct fuse_init_in` of a Linux guest. */
function initRequest(unique: bigint): Uint8Array {
  const bytes = new Uint8Array(IN_HEADER + INIT_IN);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint32(4, FUSE_INIT, true);
  view.setBigUint64(8, unique, true);
  view.setUint32(IN_HEADER, 7, true);
  view.setUint32(IN_HEADER + 4, 45, true);
  return bytes;
}

/** Opens a FUSE session on the request queue. @returns the reply's header: len, error, unique */
function openSession(socketPath: string): { tag: string; error: number; unique: bigint } {
  using loop = new BlockingLoop(sys);
  const socket = new Fd(sys.fd, check(sys.socket.connectUnix(socketPath), 'connect'));
  using mock = new MockFrontend({ sys, loop, socket });
  mock.connect();
  const config = mock.frontend.wait<Uint8Array>((done) => mock.frontend.getConfig(0, 40, done));
  const driver = new MockDriver({
    memory: { u8: mock.ram.u8, gpa: MockFrontend.RAM_GPA },
    gpa: MockFrontend.RAM_GPA + QUEUE_BYTES,
    len: QUEUE_BYTES,
    size: 16,
    eventIdx: true,
    kick: () => mock.kick(1),
  });
  const { size, desc, avail, used } = driver;
  const { callFd } = mock.startRing(1, { size, desc, avail, used });
  using _called = loop.watch(callFd, EPOLLIN | EPOLLET, () => {});
  driver.send([initRequest(77n)], [OUT_HEADER + INIT_OUT]);
  let reply = driver.take();
  mock.runUntil(() => (reply ??= driver.take()) !== null);
  const view = new DataView(reply!.bytes.buffer);
  const tag = new TextDecoder().decode(config.subarray(0, 36)).replace(/\0+$/, '');
  return { tag, error: view.getInt32(4, true), unique: view.getBigUint64(8, true) };
}

describe('oriel fs, the program', function () {
  this.timeout(20_000);
  let dir: TempDir;
  let options: string[];
  let socketPath: string;
  const programs: Program[] = [];

  function start(args: readonly string[], fds: readonly number[] = []): Program {
    const program = new Program(MAIN, args, fds);
    programs.push(program);
    return program;
  }

  beforeEach(() => {
    dir = tempDir();
    socketPath = join(dir.path, 'fs.sock');
    mkdirSync(join(dir.path, 'share'));
    options = [`--shared-dir=${join(dir.path, 'share')}`, '--tag=home'];
  });
  afterEach(async () => {
    for (const program of programs.splice(0)) {
      program.child.kill('SIGKILL');
      await program.end();
    }
    dir[Symbol.dispose]();
  });

  it('shares a directory', async () => {
    const program = start(['fs', `--socket-path=${socketPath}`, ...options]);
    await program.says('listening');
    expect(openSession(socketPath)).to.deep.equal({ tag: 'home', error: 0, unique: 77n });
    const end = await program.stop('SIGTERM');
    expect(end.code, program.stderr).to.equal(0);
    expect(end.ms).to.be.lessThan(1000);
    expect(existsSync(socketPath)).to.equal(false);
    expect(program.stdout).to.equal('');
  });

  it('shares it again after it was killed', async () => {
    const first = start(['fs', `--socket-path=${socketPath}`, ...options]);
    await first.says('listening');
    openSession(socketPath);
    await first.stop('SIGKILL');
    const second = start(['fs', `--socket-path=${socketPath}`, ...options]);
    await second.says('listening');
    expect(openSession(socketPath).error).to.equal(0);
    expect(openSession(socketPath).error).to.equal(0);
  });

  it('serves an inherited socket', async () => {
    using listening = new Fd(sys.fd, check(sys.socket.listenUnix(socketPath, 0o600, -1, 4), 'listen'));
    const program = start(['fs', '--fd=3', '--window=0', ...options], [listening.fd]);
    await program.says('listening');
    expect(openSession(socketPath).error).to.equal(0);
  });

  it('ends with 2 and one line for a bad option', async () => {
    const program = start(['fs', `--socket-path=${socketPath}`, '--windw=1G', ...options]);
    expect((await program.end()).code).to.equal(2);
    expect(program.stderr).to.match(/^oriel: unknown option --windw: .*--window .*\n$/);
    expect(program.stdout).to.equal('');
    expect(existsSync(socketPath)).to.equal(false);
  });

  it('prints its capabilities and nothing else, whatever else is asked', async () => {
    const program = start(['fs', '--shared-dir=/nowhere', '--fd=99', '--nonsense', '--print-capabilities']);
    expect((await program.end()).code).to.equal(0);
    expect(JSON.parse(program.stdout)).to.deep.equal({ type: 'fs', features: ['separate-options'] });
    expect(program.stderr).to.equal('');
  });

  it('ends with 1 and one line when file handles are mandatory and there are none', async () => {
    const more = ['--shared-dir=/proc', '--tag=proc', '--inode-file-handles=mandatory'];
    const program = start(['fs', `--socket-path=${socketPath}`, ...more]);
    expect((await program.end()).code).to.equal(1);
    expect(program.stderr).to.match(/^[^\n]*file handle \(E[A-Z]+\)[^\n]*\n$/);
  });

  it('ends with 1 and one line when the socket cannot be made', async () => {
    const program = start(['fs', `--socket-path=${join(dir.path, 'nowhere', 'fs.sock')}`, ...options]);
    expect((await program.end()).code).to.equal(1);
    expect(program.stderr.trim().split('\n')).to.have.length(1);
    expect(program.stderr).to.include('ENOENT');
  });
});
