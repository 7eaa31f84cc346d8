import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BlockingLoop, check, Fd, Mapping, openSys, PROT_READ } from '@oriel/sys';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { MockFrontend } from '@oriel/vhost-user/testing';
import { MockDriver } from '@oriel/virtio-device/testing';
import { expect } from 'chai';
import { PMEM_ALIGN } from '../src/index.ts';

const example = fileURLToPath(new URL('../examples/serve-image.ts', import.meta.url));
const sys = openSys();

describe('the example, as a program', () => {
  it('stands in the README', () => {
    const code = readFileSync(example, 'utf8').replace(/^.*\n/, '');
    expect(readFileSync(new URL('../README.md', import.meta.url), 'utf8')).to.include(code.trim());
  });

  it('gives a front-end the file, and ends when it leaves', async () => {
    using dir = tempDir();
    const path = join(dir.path, 'image');
    const socketPath = join(dir.path, 'socket');
    writeFileSync(path, Buffer.alloc(PMEM_ALIGN, 'memory '));
    const args = ['-C', '@oriel/source', '--disable-warning=ExperimentalWarning', example, path, socketPath];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
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
        announce: () => ({ gpa: 0x2_0000_0000, userAddr: 0x7e00_0000_0000 }),
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
      const driver = new MockDriver({ ...place, kick: () => mock.kick(0) });
      mock.startRing(0, driver);
      driver.send([new Uint8Array(4)], [4]);
      let reply = driver.take();
      mock.runUntil(() => (reply ??= driver.take()) !== null);
      expect([...reply!.bytes]).to.deep.equal([0, 0, 0, 0]);
      using file = mapped! as Fd;
      using window = Mapping.shared(sys.mem, file.fd, PMEM_ALIGN, 0, PROT_READ);
      expect(Buffer.from(window.u8.subarray(0, 6)).toString()).to.equal('memory');
    }
    expect(await ended).to.deep.equal([0, null]);
    expect(said.join('')).to.match(/^listening.*connected.*started.*stopped.*disconnected/s);
  });
});
