import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import { BlockingLoop, check, EPOLLET, EPOLLIN, Fd, Mapping, PROT_READ } from '@oriel/sys';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { MockFrontend } from '@oriel/vhost-user/testing';
import { MockDriver } from '@oriel/virtio-device/testing';
import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { INODE, READ, sys } from './support/rig.ts';

const example = fileURLToPath(new URL('../examples/serve-directory.ts', import.meta.url));
const WINDOW = { gpa: 0x2_0000_0000, userAddr: 0x7e00_0000_0000 };

describe('the example, as a program', () => {
  it('shows a file of the directory through the window, and ends when the front-end leaves', async () => {
    using dir = tempDir();
    mkdirSync(join(dir.path, 'share'));
    writeFileSync(join(dir.path, 'share/file'), Buffer.alloc(DAX_RANGE, 'through the window '));
    const socketPath = join(dir.path, 'socket');
    const args = ['-C', '@oriel/source', '--disable-warning=ExperimentalWarning', example];
    const child = spawn(process.execPath, [...args, join(dir.path, 'share'), socketPath], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'close');
    const said: string[] = [];
    child.stdout.on('data', (data) => said.push(String(data)));
    await once(child.stdout, 'data');
    using _leaks = leakCheck();
    {
      using loop = new BlockingLoop(sys);
      let mapped: Fd | null = null;
      using mock = new MockFrontend({
        sys,
        loop,
        socket: new Fd(sys.fd, check(sys.socket.connectUnix(socketPath), 'connect')),
        ramSize: 1 << 20,
        announce: () => WINDOW,
        handlers: {
          shmemMap: (_request, fd) => {
            mapped = fd;
            return 0;
          },
          shmemUnmap: () => 0,
        },
      });
      mock.connect();
      const memory = { u8: mock.ram.u8, gpa: MockFrontend.RAM_GPA };
      const place = { memory, gpa: memory.gpa, len: 1 << 20, size: 16, eventIdx: true };
      const driver = new MockDriver({ ...place, kick: () => mock.kick(1) });
      const { callFd } = mock.startRing(1, driver);
      using _called = loop.watch(callFd, EPOLLIN | EPOLLET, () => {});
      const request = new RequestEncoder();
      const call = ({ bytes, len, room }: RequestEncoder): ReplyDecoder => {
        driver.send([bytes.slice(0, len)], [room]);
        let reply = driver.take();
        mock.runUntil(() => (reply ??= driver.take()) !== null);
        return new ReplyDecoder().take(request, reply!.bytes, reply!.written);
      };
      call(request.init(INODE));
      const { nodeid } = call(request.lookup(1, 'file')).readEntry();
      expect(call(request.setupmapping(nodeid, 0, DAX_RANGE, READ, 0)).error).to.equal(0);
      using file = mapped! as Fd;
      using window = Mapping.shared(sys.mem, file.fd, DAX_RANGE, 0, PROT_READ);
      expect(Buffer.from(window.u8.subarray(0, 18)).toString()).to.equal('through the window');
    }
    expect(await ended).to.deep.equal([0, null]);
    expect(said.join('')).to.match(/^listening.*connected.*started.*stopped.*disconnected/s);
  });
});
